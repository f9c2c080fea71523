// Data: the columns of a job, each with what it is, what it is called, and how its values are written.

const STATES = { p: "pending", c: "claimed", s: "succeeded", f: "failed", k: "killed" };

// What a letter of the timeline means. Where several share a pixel, they are drawn from the bottom up in this order.
const KINDS = { f: "failed", k: "killed", e: "earlier", c: "claimed", s: "succeeded" };

const whole = new Intl.NumberFormat("en-US");

function seconds(value) {
  if (value === 0) return "0";
  if (value < 1) return `${Math.round(value * 1000)} ms`;
  if (value < 60) return `${+value.toFixed(value < 10 ? 2 : 1)} s`;
  const all = Math.round(value);
  const [days, hours, minutes] = [Math.floor(all / 86400), Math.floor(all / 3600) % 24, Math.floor(all / 60) % 60];
  const two = (number) => String(number).padStart(2, "0");
  if (!days && !hours) return `${minutes}:${two(all % 60)}`;
  return `${days ? `${days} d ` : ""}${hours}:${two(minutes)}:${two(all % 60)}`;
}

function bytes(value) {
  let unit = 0;
  while (value >= 1000 && unit < 4) { value /= 1000; unit += 1; }
  return `${unit && value < 100 ? value.toFixed(1) : Math.round(value)} ${["bytes", "kB", "MB", "GB", "TB"][unit]}`;
}

function plain(value) {
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return String(value);
  return String(+value.toPrecision(6));
}

const WRITE = { seconds, bytes, number: plain };

// A column of numbers; `values` has NaN where there is none.
function numbers(key, title, kind, values) {
  const write = WRITE[kind];
  return {
    key, title, kind, numeric: true,
    number: (task) => values[task],
    text: (task) => (Number.isNaN(values[task]) ? "" : write(values[task])),
    plain: (task) => (Number.isNaN(values[task]) ? "" : String(values[task])),
    write,
  };
}

// A column of texts that are sorted already: a text's code is its rank. Without a text the code is -1.
function texts(key, title, given) {
  const { values, codes } = given;
  const known = given.numeric ? values.map(Number) : null;
  const text = (task) => (codes[task] < 0 ? "" : values[codes[task]]);
  return {
    key, title, kind: known ? "number" : "text", numeric: Boolean(known), values, codes, text, plain: text,
    number: (task) => (codes[task] < 0 ? NaN : known ? known[codes[task]] : codes[task]),
    write: known ? plain : (code) => values[code] ?? "",
  };
}

function letters(key, title, given, names) {
  const values = Object.values(names).sort();
  const rank = Object.fromEntries(Object.entries(names).map(([letter, name]) => [letter, values.indexOf(name)]));
  return texts(key, title, { values, codes: Array.from(given, (letter) => rank[letter]), numeric: false });
}

function floats(list) {
  return Float64Array.from(list, (value) => (value === null ? NaN : value));
}

// The job as the rest of the page knows it.
function readJob(raw) {
  const [queued, started, ended, memory] = [raw.queued, raw.started, raw.ended, raw.memory].map(floats);
  const run = ended.map((end, task) => end - started[task]);
  const wait = started.map((start, task) => Math.max(0, start - queued[task]));
  const columns = [
    numbers("index", "task", "number", floats(raw.index)),
    letters("state", "state", raw.state, STATES),
    ...raw.params.map((one) => texts(`params.${one.name}`, one.name, one)),
    ...raw.fields.map((one) => texts(`fields.${one.name}`, one.name, one)),
    numbers("seconds", "run time", "seconds", run),
    numbers("waited", "queue time", "seconds", wait),
    numbers("memory", "memory", "bytes", memory),
    texts("reason", "reason", raw.reason),
    numbers("exit", "exit", "number", floats(raw.exit)),
    numbers("attempts", "attempts", "number", floats(raw.attempts)),
    texts("node", "node", raw.node),
    numbers("started", "started after", "seconds", started),
    texts("said", "last line", raw.said),
  ];
  const by = Object.fromEntries(columns.map((column) => [column.key, column]));
  return { name: raw.job, size: raw.index.length, raw, columns, by, id: (task) => `${raw.job}.${raw.index[task]}` };
}

// "min 1 s · median 2 s · 90 % below 5 s · max 9 s" of sorted numbers.
function spread(sorted, write) {
  const at = (share) => write(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]);
  return `least ${at(0)} · median ${at(0.5)} · 90 % below ${at(0.9)} · most ${at(1)}`;
}

// An element with text and children; text of others only ever becomes text.
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}
