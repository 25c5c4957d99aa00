// Where series are: answers of GET /api/v1/metrics/cardinality.
import type { Partial_ } from './api';

export interface Amount {
  series: number;
  samples: number;
  bytes: number;
}
export interface MetricCount extends Amount {
  name: string;
  type?: string;
  unit?: string;
  help?: string;
}
export interface LabelCount extends Amount {
  name: string;
  values: number;
}
export interface PairCount extends Amount {
  name: string;
  value: string;
}
export interface Drop {
  label: string;
  series: number;
  series_left: number;
  bytes: number; // of the series that have it
}
export interface Cardinality extends Amount, Partial_ {
  range: { start: string; end: string };
  oldest: string | null;
  newest: string | null;
  memory_bytes: number;
  metrics_found: number;
  labels_found: number;
  pairs_found: number;
  metrics: MetricCount[];
  labels: LabelCount[];
  pairs: PairCount[];
  drop?: Drop;
}

/** What dropping a label saves: the series that fall together with others when it is gone, and their share of the bytes. */
export const savedBy = (d: Drop): { series: number; bytes: number } => ({ series: d.series - d.series_left, bytes: d.series ? Math.round((d.bytes * (d.series - d.series_left)) / d.series) : 0 });

const yaml = (s: string): string => JSON.stringify(s);
const regex = (s: string): string => s.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** How a sender stops sending it. */
export const dropMetricRule = (name: string): string => `remote_write:
  - url: …
    write_relabel_configs:
      - source_labels: [__name__]
        regex: ${yaml(regex(name))}
        action: drop`;
export const dropLabelRule = (name: string): string => `remote_write:
  - url: …
    write_relabel_configs:
      - regex: ${yaml(regex(name))}
        action: labeldrop`;
