// Table: all tasks, of which only the rows in sight are there. It is sorted, filtered, and walked through with keys.

const ROW = 28;
// The tallest element that browsers draw; longer tables are scrolled in larger steps.
const TALLEST = 15_000_000;
// Rows that are printed.
const PAPER = 200;

// Measures texts as they are in the table.
const ruler = document.createElement("canvas").getContext("2d");

function table(section, job) {
  const scroller = section.querySelector(".scroller");
  const grid = section.querySelector("table");
  const [head, body] = [grid.tHead, grid.tBodies[0]];
  ruler.font = `13px ${getComputedStyle(document.body).fontFamily}`;
  const shown = job.columns.filter((column) => column.key === "index" || hasAny(job, column));
  const everyone = Uint32Array.from({ length: job.size }, (_, task) => task);
  let rows = everyone;
  let order = { column: job.by.index, down: false };
  let current = -1;
  let filter = readFilter("", job);
  let onPaper = false;

  grid.setAttribute("aria-colcount", shown.length);
  grid.querySelector("colgroup").append(...shown.map((column) => element("col", { style: `width:${width(job, column)}px` })));
  grid.style.width = `${shown.reduce((sum, column) => sum + width(job, column), 0)}px`;
  head.append(element("tr", { "aria-rowindex": 1 }, ...shown.map(heading)));

  function heading(column) {
    const button = element("button", { type: "button", tabindex: "-1", title: column.key }, column.title);
    button.addEventListener("click", () => sortBy(column));
    return element("th", { scope: "col", class: column.numeric && column.key !== "index" ? "right" : null, "aria-sort": "none" }, button);
  }

  function sortBy(column) {
    order = { column, down: order.column === column && !order.down };
    mark();
    renew();
  }

  function mark() {
    [...head.rows[0].cells].forEach((cell, number) => {
      const is = shown[number] === order.column;
      cell.setAttribute("aria-sort", is ? (order.down ? "descending" : "ascending") : "none");
      cell.firstChild.textContent = `${shown[number].title}${is ? (order.down ? " ▾" : " ▴") : ""}`;
    });
  }

  function renew() {
    const chosen = current < 0 ? -1 : rows[current];
    const kept = filter.tests.length ? everyone.filter((task) => filter.tests.every((test) => test(task))) : everyone.slice();
    rows = sorted(kept, order);
    current = chosen < 0 ? -1 : rows.indexOf(chosen);
    grid.setAttribute("aria-rowcount", rows.length + 1);
    section.querySelector(".count").textContent = `${whole.format(rows.length)} of ${whole.format(job.size)}`;
    render();
  }

  const tall = () => Math.min(rows.length * ROW, TALLEST);
  const room = () => Math.max(ROW, scroller.clientHeight - ROW);

  // The row at the top of what is in sight, and the scroll position of a row.
  const topRow = () => Math.floor((scroller.scrollTop / Math.max(1, tall() - room())) * Math.max(0, rows.length - room() / ROW));
  const placeOf = (row) => (row / Math.max(1, rows.length - room() / ROW)) * Math.max(0, tall() - room());

  function render() {
    const count = onPaper ? PAPER : Math.ceil(room() / ROW) + 1;
    const first = onPaper ? 0 : Math.max(0, Math.min(topRow(), rows.length - count));
    const last = Math.min(rows.length, first + count);
    const above = Math.min(scroller.scrollTop, Math.max(0, tall() - (last - first) * ROW));
    const lines = [];
    for (let row = first; row < last; row += 1) lines.push(line(row));
    body.replaceChildren(gap(above), ...lines, gap(tall() - above - lines.length * ROW));
    grid.toggleAttribute("aria-activedescendant", false);
    if (current >= first && current < last) grid.setAttribute("aria-activedescendant", `${job.name}-row-${current}`);
  }

  function gap(height) {
    return element("tr", { class: "gap", "aria-hidden": "true" }, element("td", { colspan: shown.length, style: `height:${Math.max(0, height)}px` }));
  }

  function line(row) {
    const task = rows[row];
    const made = element("tr", { id: `${job.name}-row-${row}`, "aria-rowindex": row + 2, "aria-selected": row === current ? "true" : "false" }, ...shown.map((column) => cell(column, task)));
    made.addEventListener("click", () => go(row, true));
    return made;
  }

  function cell(column, task) {
    if (column.key === "index") return element("th", { scope: "row" }, String(job.raw.index[task]));
    const text = column.text(task);
    if (column.key === "state") return element("td", { class: "state" }, element("i", { class: text }), text);
    return element("td", { class: column.numeric ? "right" : null, title: text.length > 18 ? text : null }, text);
  }

  function go(row, open) {
    current = Math.max(0, Math.min(rows.length - 1, row));
    const height = Math.floor(room() / ROW);
    const first = topRow();
    if (current < first) scroller.scrollTop = placeOf(current);
    if (current >= first + height) scroller.scrollTop = placeOf(current - height + 1);
    render();
    if (open || !detail.hidden) show(rows[current]);
  }

  const page = () => Math.max(1, Math.floor(room() / ROW) - 1);
  const KEYS = {
    ArrowDown: () => go(current + 1), ArrowUp: () => go(current - 1), Home: () => go(0), End: () => go(rows.length - 1),
    PageDown: () => go(current + page()), PageUp: () => go(current - page()),
    ArrowRight: () => { scroller.scrollLeft += 80; }, ArrowLeft: () => { scroller.scrollLeft -= 80; },
    Enter: () => rows.length && go(Math.max(0, current), true), Escape: () => { detail.hidden = true; },
  };
  grid.addEventListener("keydown", (event) => {
    if (event.target !== grid || event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key] || !rows.length) return;
    event.preventDefault();
    KEYS[event.key]();
  });

  const detail = section.querySelector(".detail");
  function show(task) {
    const id = job.id(task);
    const close = element("button", { type: "button", "aria-label": "Close" }, "×");
    close.addEventListener("click", () => { detail.hidden = true; grid.focus(); });
    const list = element("dl");
    for (const column of shown) {
      const text = column.key === "index" ? id : column.text(task);
      if (text) list.append(element("div", {}, element("dt", {}, column.title), element("dd", {}, text)));
    }
    detail.replaceChildren(element("div", { class: "tools" }, element("b", {}, id), close), list, ...["logs", "why"].map((word) => command(`sparkles ${word} ${id}`)));
    detail.hidden = false;
  }

  // Shows a task that was chosen elsewhere, whatever the filter says.
  function choose(task) {
    let row = rows.indexOf(task);
    if (row < 0) {
      section.querySelector(".filter").value = "";
      filter = readFilter("", job);
      renew();
      row = rows.indexOf(task);
    }
    go(row, true);
    detail.scrollIntoView({ block: "nearest" });
  }

  let waiting = 0;
  section.querySelector(".filter").addEventListener("input", (event) => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      filter = readFilter(event.target.value, job);
      section.querySelector(".problem").textContent = filter.problem;
      scroller.scrollTop = 0;
      renew();
    }, job.size > 20000 ? 150 : 0);
  });
  section.querySelector(".csv").addEventListener("click", () => save(`${job.name}.csv`, csv(shown, rows)));
  scroller.addEventListener("scroll", () => requestAnimationFrame(render));
  new ResizeObserver(render).observe(scroller);
  for (const [moment, is] of [["beforeprint", true], ["afterprint", false]]) {
    window.addEventListener(moment, () => { onPaper = is; render(); });
  }
  mark();
  renew();
  return { choose };
}

function hasAny(job, column) {
  for (let task = 0; task < job.size; task += 1) if (column.text(task) !== "") return true;
  return false;
}

// Numbers first, by size; what is not there at the end, whichever way it is sorted.
function sorted(rows, { column, down }) {
  const known = rows.filter((task) => !Number.isNaN(column.number(task)) && column.text(task) !== "");
  const rest = rows.filter((task) => Number.isNaN(column.number(task)) || column.text(task) === "");
  const sign = down ? -1 : 1;
  known.sort((a, b) => sign * (column.number(a) - column.number(b)) || a - b);
  const all = new Uint32Array(rows.length);
  all.set(known);
  all.set(rest, known.length);
  return all;
}

// Pixels that a column needs for its title and its first texts.
function width(job, column) {
  let most = ruler.measureText(column.title).width + 14;
  for (let task = 0; task < Math.min(job.size, 200); task += 1) most = Math.max(most, ruler.measureText(column.text(task)).width);
  return Math.ceil(Math.min(column.key === "said" ? 520 : 220, Math.max(30, most + (column.key === "state" ? 16 : 0)))) + 22;
}

function csv(columns, rows) {
  const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const lines = [columns.map((column) => quoted(column.key)).join(",")];
  for (const task of rows) lines.push(columns.map((column) => quoted(column.plain(task))).join(","));
  return `${lines.join("\r\n")}\r\n`;
}

function save(name, text) {
  const link = element("a", { href: URL.createObjectURL(new Blob([text], { type: "text/csv" })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function command(line) {
  return element("p", { class: "command" }, element("code", {}, line), element("button", { type: "button", class: "copy", "data-copy": line, "aria-label": `Copy: ${line}` }, "copy"));
}
