// Functions and aggregations of PromQL as Prometheus 3.5 has them: what completion offers. src/query/promql/functions.c is their table; a test
// holds this one to it.

/** Name, arguments, what it does. Arguments: v instant vector, m range vector, s number, t text; ? optional, * any number. Experimental ones are refused where the server does not have them on. */
const table = `abs(v) absolute values
absent(v) 1 if there is nothing, else nothing
absent_over_time(m) 1 if there was nothing in the range
acos(v) arc cosine
acosh(v) inverse hyperbolic cosine
asin(v) arc sine
asinh(v) inverse hyperbolic sine
atan(v) arc tangent
atanh(v) inverse hyperbolic tangent
avg_over_time(m) mean of the range
ceil(v) rounded up
changes(m) how often the value changed
clamp(v, min, max) held between two numbers
clamp_max(v, max) at most this
clamp_min(v, min) at least this
cos(v) cosine
cosh(v) hyperbolic cosine
count_over_time(m) samples in the range
day_of_month(v?) 1 to 31, UTC
day_of_week(v?) 0 (Sunday) to 6, UTC
day_of_year(v?) 1 to 366, UTC
days_in_month(v?) 28 to 31
deg(v) radians to degrees
delta(m) last less first, of a gauge
deriv(m) slope a second, of a gauge
double_exponential_smoothing(m, smoothing, trend) experimental: smoothed value of a gauge
exp(v) e to the power of
first_over_time(m) experimental: oldest value of the range
floor(v) rounded down
histogram_avg(v) mean of native histograms
histogram_count(v) observations of native histograms
histogram_fraction(lower, upper, v) share of observations between two values
histogram_quantile(q, v) quantile of histograms: 0.95, sum by (le) (rate(…_bucket[5m]))
histogram_stddev(v) deviation of native histograms
histogram_stdvar(v) variance of native histograms
histogram_sum(v) sum of native histograms
hour(v?) 0 to 23, UTC
idelta(m) last two samples' difference
increase(m) how much a counter grew in the range
info(v, selector?) experimental: adds labels of info metrics
irate(m) growth a second of the last two samples
label_join(v, to, separator, from*) joins labels into one
label_replace(v, to, replacement, from, regex) a label out of another
last_over_time(m) newest value of the range
ln(v) natural logarithm
log10(v) decimal logarithm
log2(v) binary logarithm
mad_over_time(m) experimental: median absolute deviation
max_over_time(m) greatest of the range
min_over_time(m) least of the range
minute(v?) 0 to 59, UTC
month(v?) 1 to 12, UTC
pi() 3.14159…
predict_linear(m, seconds) where a straight line leads to
present_over_time(m) 1 where there was anything
quantile_over_time(q, m) quantile of the range
rad(v) degrees to radians
rate(m) growth a second of a counter
resets(m) how often a counter began anew
round(v, to?) to the nearest multiple
scalar(v) the one series as a number
sgn(v) -1, 0 or 1
sin(v) sine
sinh(v) hyperbolic sine
sort(v) least first
sort_by_label(v, label*) experimental: by labels
sort_by_label_desc(v, label*) experimental: by labels, last first
sort_desc(v) greatest first
sqrt(v) square root
stddev_over_time(m) deviation of the range
stdvar_over_time(m) variance of the range
sum_over_time(m) sum of the range
tan(v) tangent
tanh(v) hyperbolic tangent
time() seconds since 1970 of the step
timestamp(v) when the samples were taken
ts_of_first_over_time(m) experimental: when the oldest of the range was
ts_of_last_over_time(m) experimental: when the newest of the range was
ts_of_max_over_time(m) experimental: when the greatest of the range was
ts_of_min_over_time(m) experimental: when the least of the range was
vector(s) a number as a series without labels
year(v?) UTC
sum(v) sum of groups
avg(v) mean of groups
min(v) least of groups
max(v) greatest of groups
count(v) how many series
group(v) 1 for each group
stddev(v) deviation in groups
stdvar(v) variance in groups
topk(k, v) the k greatest
bottomk(k, v) the k least
quantile(q, v) quantile of groups
count_values(label, v) how often each value is there
limitk(k, v) experimental: any k series of each group
limit_ratio(ratio, v) experimental: about this share of the series`;

export interface Fn {
  name: string;
  arguments: string[];
  help: string;
}
export const functions: Fn[] = table.split('\n').map((line) => {
  const m = /^(\w+)\((.*?)\) (.*)$/.exec(line)!;
  return { name: m[1], arguments: m[2] ? m[2].split(', ') : [], help: m[3] };
});
const byName = new Map(functions.map((f) => [f.name, f]));
export const functionOf = (name: string): Fn | undefined => byName.get(name);

const words: Record<string, string> = { v: 'vector', m: 'range[5m]', s: 'number', 'v?': 'vector?' };
export const argumentWords = (f: Fn): string[] => f.arguments.map((a) => words[a] ?? a);
export const signature = (f: Fn): string => `${f.name}(${argumentWords(f).join(', ')})`;
