// Filter: what is typed above the table, as a test of tasks. `FIELD OP VALUE` as in `sparkles list --filter`, or words.

const TERM = /^(.+?)(!=|!~|<=|>=|==|=|<|>|~)(.*)$/s;
const TIMES = { s: 1, m: 60, h: 3600, d: 86400 };
const SIZES = { b: 0, k: 1, m: 2, g: 3, t: 4 };
const COMPARE = {
  "=": (a, b) => a === b, "==": (a, b) => a === b, "!=": (a, b) => a !== b,
  "<": (a, b) => a < b, ">": (a, b) => a > b, "<=": (a, b) => a <= b, ">=": (a, b) => a >= b,
};
const SHORT = { run: "seconds", task: "index", queue: "waited" };

// Returns {tests, problem}: a task passes if all tests hold.
function readFilter(text, job) {
  const joined = text.replace(/\s*(!=|!~|<=|>=|==|=|<|>|~)\s*/g, "$1");
  const terms = joined.match(/(?:[^\s"']|"[^"]*"|'[^']*')+/g) ?? [];
  const tests = [];
  for (const term of terms) {
    const bare = term.replace(/"([^"]*)"|'([^']*)'/g, (_, one, two) => one ?? two);
    const match = TERM.exec(bare);
    const test = match ? comparison(match, job) : words(bare, job);
    if (typeof test === "string") return { tests: [], problem: test };
    tests.push(test);
  }
  return { tests, problem: "" };
}

function columnOf(name, job) {
  const key = SHORT[name] ?? name;
  return job.by[key] ?? job.by[`params.${key}`] ?? job.by[`fields.${key}`]
    ?? job.columns.find((column) => column.title === name);
}

function comparison([, name, op, value], job) {
  const column = columnOf(name, job);
  if (!column) return `there is no field ${name}; there is: ${job.columns.map((one) => one.key).join(", ")}`;
  if (op === "~" || op === "!~") return matching(column, value, op === "~");
  const compare = COMPARE[op];
  const unset = op === (value === "" ? "=" : "!=");  // what is not set is equal to no value, and only to that
  const wanted = column.numeric ? quantity(value, column.kind) : NaN;
  if (!Number.isNaN(wanted)) return (task) => (Number.isNaN(column.number(task)) ? unset : compare(column.number(task), wanted));
  if (column.numeric && column.kind !== "number") return `${name}: expected a ${column.kind === "bytes" ? "size, such as 1.5GB" : "time, such as 10m"}`;
  return (task) => (column.text(task) === "" ? unset : compare(column.text(task), value));
}

function matching(column, value, isWanted) {
  try {
    const expression = new RegExp(value);
    return (task) => (column.text(task) !== "" && expression.test(column.text(task))) === isWanted;
  } catch {
    return `${value} is not a regular expression`;
  }
}

// The number of "10m" or "1.5GB"; NaN if it is none.
function quantity(text, kind) {
  if (text.trim() !== "" && !Number.isNaN(Number(text))) return Number(text);
  if (kind === "seconds" && /^(\d+(\.\d+)?[smhd])+$/.test(text)) {
    return [...text.matchAll(/([\d.]+)([smhd])/g)].reduce((sum, [, number, unit]) => sum + number * TIMES[unit], 0);
  }
  const size = kind === "bytes" && /^([\d.]+)\s*([kmgt]?)(i?)b?$/i.exec(text);
  return size ? size[1] * (size[3] ? 1024 : 1000) ** SIZES[size[2].toLowerCase() || "b"] : NaN;
}

// Words are looked for in all texts; each distinct text is looked at once.
function words(text, job) {
  const wanted = text.toLowerCase();
  const hits = job.columns.filter((column) => column.codes)
    .map((column) => ({ codes: column.codes, found: column.values.map((value) => value.toLowerCase().includes(wanted)) }))
    .filter(({ found }) => found.includes(true));
  return (task) => job.id(task).toLowerCase() === wanted || hits.some(({ codes, found }) => codes[task] >= 0 && found[codes[task]]);
}
