// What uPlot gets in the place of Intl (build.mjs): it makes a format of numbers and one of dates when it is loaded, to use neither here, and
// the tables of languages that they load take 25 ms.
class Format {
  format = String;
  resolvedOptions(): { timeZone: string } {
    return { timeZone: '' };
  }
}
export const plainIntl = { NumberFormat: Format, DateTimeFormat: Format };
