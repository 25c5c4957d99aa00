declare module '*.css';
/** Whether the API has /api/v1/logs/tail: build.mjs looks. */
declare const HAS_TAIL: boolean;
