// Figures as people read them. null is what nobody knows, and never a zero.

const UNKNOWN = "–";

/** 1,234 · 12.3k · 4.56M: three digits that count. */
export function count(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return UNKNOWN;
  const size = Math.abs(value);
  for (const [unit, letter] of [[1e9, "G"], [1e6, "M"], [1e4, "k"]]) {
    if (size >= unit) return `${digits(value / (unit === 1e4 ? 1e3 : unit))}${letter}`;
  }
  return size >= 100 || Number.isInteger(value) ? Math.round(value).toLocaleString("en") : digits(value);
}

function digits(value) {
  const size = Math.abs(value);
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2);
}

/** Every digit, with separators. */
export function whole(value) {
  return value === null || value === undefined ? UNKNOWN : Math.round(value).toLocaleString("en");
}

/** 12 ms · 0.84 s · 12.3 s · 4 min 05 s */
export function seconds(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return UNKNOWN;
  if (value < 0.1) return `${Math.round(value * 1000)} ms`;
  if (value < 100) return `${value.toFixed(value < 10 ? 2 : 1)} s`;
  const minutes = Math.floor(value / 60);
  if (minutes < 60) return `${minutes} min ${String(Math.floor(value % 60)).padStart(2, "0")} s`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

export function share(value) {
  return value === null || value === undefined ? UNKNOWN : `${(value * 100).toFixed(value > 0 && value < 0.1 ? 1 : 0)} %`;
}

export function gib(value) {
  if (value === null || value === undefined) return UNKNOWN;
  if (value > 0 && value < 0.1) return `${digits(value * 1024)} MiB`;
  return `${value.toFixed(value < 10 ? 2 : 1)} GiB`;
}

/** In the tier's currency. */
export function money(value, currency) {
  if (value === null || value === undefined) return UNKNOWN;
  return `${value.toFixed(value !== 0 && Math.abs(value) < 1 ? 4 : 2)} ${currency}`;
}

/** 14:03:09, in the reader's own time. */
export function clock(epoch) {
  return new Date(epoch * 1000).toLocaleTimeString("en-GB");
}

/** 2026-01-31 14:03, in the reader's own time. */
export function moment(epoch) {
  const at = new Date(epoch * 1000);
  const two = (value) => String(value).padStart(2, "0");
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}`;
}

/** 34 s · 4 min 05 s · 3 h 12 min · 2 d 4 h: for what is still going on, so without parts of a second. */
export function elapsed(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return UNKNOWN;
  const whole = Math.max(0, Math.floor(value));
  const [minutes, hours, days] = [60, 3600, 86_400].map((unit) => Math.floor(whole / unit));
  const two = (rest) => String(rest).padStart(2, "0");
  if (days) return `${days} d ${hours % 24} h`;
  if (hours) return `${hours} h ${two(minutes % 60)} min`;
  return minutes ? `${minutes} min ${two(whole % 60)} s` : `${whole} s`;
}

/** One word for a shell, whatever is in it. */
export function shell(text) {
  return `'${String(text).replaceAll("'", "'\\''")}'`;
}
