declare module '*.css';
declare module '*.svg' {
  const url: string;
  export default url;
}
/** Whether the API has /api/v1/logs/tail: build.mjs looks. */
declare const HAS_TAIL: boolean;
