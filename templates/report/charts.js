// Charts: how values are spread, and how they hang on a parameter.

const CHART = 190;
const MARGIN = { left: 62, right: 10, top: 10, bottom: 22 };

function histogram(section, job) {
  const column = job.by[section.dataset.column];
  const canvas = section.querySelector("canvas");
  const box = section.querySelector(".log");
  const known = tasksWith(job, column);
  const sorted = Float64Array.from(known, column.number).sort();
  const told = known.length ? spread(sorted, column.write) : "It is not known of any task.";
  section.querySelector(".words").textContent = told;
  canvas.setAttribute("aria-label", `Histogram of ${column.title}. ${told}`);
  if (!known.length) {
    canvas.hidden = box.parentElement.hidden = true;
    return;
  }

  function draw() {
    const { pen, width } = surface(canvas, CHART);
    const log = box.checked && sorted[sorted.length - 1] > 0;
    const used = log ? known.filter((task) => column.number(task) > 0) : known;
    const least = log ? sorted.find((value) => value > 0) : sorted[0];
    const x = scale(least, sorted[sorted.length - 1], MARGIN.left, width - MARGIN.right, log);
    const bins = counted(used, column, x, Math.max(8, Math.min(60, Math.floor((width - MARGIN.left) / 9))));
    const most = Math.max(...bins.map((bin) => bin.all));
    const y = scale(0, most, CHART - MARGIN.bottom, MARGIN.top, false);
    axisLeft(pen, y, { x: MARGIN.left, right: width - MARGIN.right, write: (value) => (Number.isInteger(value) ? whole.format(value) : "") });
    const step = (width - MARGIN.left - MARGIN.right) / bins.length;
    bins.forEach((bin, number) => stack(pen, bin, MARGIN.left + number * step, step, y));
    axisBelow(pen, x, { y: CHART - MARGIN.bottom, write: column.write, kind: column.kind, left: MARGIN.left, right: width - MARGIN.right });
  }

  function counted(tasks, of, x, count) {
    const bins = Array.from({ length: count }, () => ({ all: 0, s: 0, f: 0, k: 0, c: 0, p: 0 }));
    const wide = x.to(x.high) - MARGIN.left;
    for (const task of tasks) {
      const bin = bins[Math.min(count - 1, Math.floor(((x.to(of.number(task)) - MARGIN.left) / wide) * count))];
      bin.all += 1;
      bin[job.raw.state[task]] += 1;
    }
    return bins;
  }

  function stack(pen, bin, left, step, y) {
    let below = 0;
    for (const state of "fkscp") {
      if (!bin[state]) continue;
      pen.fillStyle = colour(STATES[state]);
      const [top, bottom] = [y.to(below + bin[state]), y.to(below)];
      pen.fillRect(left + 0.5, top, Math.max(1, step - 1), Math.max(bottom - top, 1));
      below += bin[state];
    }
  }

  box.addEventListener("change", draw);
  drawn(canvas, draw);
}

function tasksWith(job, column) {
  const found = [];
  for (let task = 0; task < job.size; task += 1) if (!Number.isNaN(column.number(task))) found.push(task);
  return found;
}

// A point for each task: y over x, both chosen.
function plot(section, job, choose) {
  const canvas = section.querySelector("canvas");
  const pick = { x: section.querySelector(".x"), y: section.querySelector(".y") };
  const logs = { x: section.querySelector(".logx"), y: section.querySelector(".logy") };
  const measured = job.columns.filter((column) => column.numeric && /^(seconds|waited|memory|attempts|exit|fields\.)/.test(column.key));
  const varied = job.columns.filter((column) => /^(params|fields)\./.test(column.key) && (column.numeric || column.values.length <= 40));
  const rank = (column) => (column.key.startsWith("fields.") ? 2 : column.numeric ? 0 : 1);
  const over = [...varied, job.by.index, job.by.started].sort((a, b) => rank(a) - rank(b));
  fill(pick.y, measured.filter((column) => tasksWith(job, column).length));
  fill(pick.x, over);
  if (!pick.y.options.length || job.size < 2) {
    section.hidden = true;
    return;
  }
  const left = measured.find((column) => column.key.startsWith("fields."));
  if (left) pick.y.value = left.key;
  let points = [];

  function draw() {
    const [x, y] = [job.by[pick.x.value], job.by[pick.y.value]];
    const { pen, width, height } = surface(canvas, 280);
    const log = { x: logs.x.checked && x.numeric, y: logs.y.checked };
    const fits = (column, is, task) => !Number.isNaN(column.number(task)) && (!is || column.number(task) > 0);
    const used = tasksWith(job, y).filter((task) => fits(x, log.x, task) && fits(y, log.y, task));
    section.querySelector(".words").textContent = said(x, y, used);
    canvas.setAttribute("aria-label", `Plot. ${said(x, y, used)}`);
    points = [];
    if (!used.length) return;
    const [ax, ay] = [axisOf(x, used, MARGIN.left + 6, width - MARGIN.right - 6, log.x), axisOf(y, used, height - MARGIN.bottom - 6, MARGIN.top + 6, log.y)];
    axisLeft(pen, ay, { x: MARGIN.left, right: width - MARGIN.right, write: y.write, kind: y.kind });
    axisBelow(pen, ax, { y: height - MARGIN.bottom, write: x.numeric ? x.write : (code) => (Number.isInteger(code) ? x.write(code) : ""), kind: x.kind, left: MARGIN.left, right: width - MARGIN.right });
    points = dots(pen, used, (task) => ax.to(x.number(task)), (task) => ay.to(y.number(task)), width);
  }

  // Draws the tasks, what is rare on top; a pixel that has been drawn in a colour is not drawn in it again.
  function dots(pen, used, toX, toY, width) {
    const size = used.length > 5000 ? 1.5 : used.length > 500 ? 2 : 3;
    const found = [];
    for (const state of "pcskf") {
      pen.fillStyle = colour(STATES[state]);
      const seen = new Uint8Array(Math.ceil(width) * 300);
      for (const task of used) {
        if (job.raw.state[task] !== state) continue;
        const [x, y] = [toX(task), toY(task)];
        const pixel = Math.round(y) * Math.ceil(width) + Math.round(x);
        if (seen[pixel]) continue;
        seen[pixel] = 1;
        found.push({ x, y, task });
        if (size < 2) pen.fillRect(x - size, y - size, 2 * size, 2 * size); else disc(pen, x, y, size);
      }
    }
    return found;
  }

  function nearest(event) {
    const [x, y] = at(event, canvas);
    let [best, least] = [null, 144];
    for (const point of points) {
      const far = (point.x - x) ** 2 + (point.y - y) ** 2;
      if (far < least) [best, least] = [point, far];
    }
    return best;
  }

  const below = section.querySelector(".under");
  canvas.addEventListener("pointermove", (event) => {
    const point = nearest(event);
    const [x, y] = [job.by[pick.x.value], job.by[pick.y.value]];
    if (point) below.textContent = `${job.id(point.task)}: ${y.title} ${y.text(point.task)}, ${x.title} ${x.text(point.task)}, ${job.by.state.text(point.task)}`;
  });
  canvas.addEventListener("click", (event) => {
    const point = nearest(event);
    if (point) choose(point.task);
  });
  pick.x.addEventListener("change", () => { logs.x.checked = isWide(job, job.by[pick.x.value]); });
  logs.x.checked = isWide(job, job.by[pick.x.value]);
  for (const control of [...Object.values(pick), ...Object.values(logs)]) control.addEventListener("change", draw);
  drawn(canvas, draw);
}

// Whether the values of a parameter, all above 0, are of so different sizes that most would be in one place.
function isWide(job, column) {
  if (column.key === "index" || !column.numeric) return false;
  const values = tasksWith(job, column).map(column.number).sort((a, b) => a - b);
  return values[0] > 0 && values[values.length - 1] / values[0] >= 100;
}

function disc(pen, x, y, size) {
  pen.beginPath();
  pen.arc(x, y, size, 0, 7);
  pen.fill();
}

function fill(select, columns) {
  select.replaceChildren(...columns.map((column) => element("option", { value: column.key }, column.title)));
}

function axisOf(column, tasks, from, to, log) {
  let [low, high] = [Infinity, -Infinity];
  for (const task of tasks) {
    low = Math.min(low, column.number(task));
    high = Math.max(high, column.number(task));
  }
  return scale(low, high, from, to, log);
}

function said(x, y, tasks) {
  const sorted = Float64Array.from(tasks, y.number).sort();
  const missing = tasks.length ? spread(sorted, y.write) : "no task has both";
  return `${y.title} over ${x.title}, of ${whole.format(tasks.length)} tasks: ${missing}`;
}
