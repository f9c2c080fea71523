// Timeline: each attempt as a bar in the lane of the node that ran it. It is drawn by pixel columns: where a column has
// several attempts, each kind gets a part of its height, and what failed never less than can be seen.

const AXIS = 22;
const ORDER = Object.keys(KINDS);
const SEEN = 2;

function timeline(section, job, choose) {
  const { raw } = job;
  const canvas = section.querySelector("canvas");
  const lanes = raw.lane_sizes.length;
  const firsts = [0];
  for (const size of raw.lane_sizes) firsts.push(firsts[firsts.length - 1] + size);
  if (!lanes) {
    section.hidden = true;
    return;
  }
  const [first, last] = bounds(raw);
  const all = { from: first, to: last, top: 0, bottom: lanes };
  const view = { ...all };
  const height = Math.min(420, Math.max(60, lanes * 16)) + AXIS;
  let axis = null;
  let left = 0;

  function draw() {
    const { pen, width } = surface(canvas, height);
    left = named() ? Math.round(Math.min(width / 3, 12 + Math.max(...raw.lanes.values.map((name) => pen.measureText(name).width)))) : 0;
    axis = scale(view.from, view.to, left, width, false);
    for (let lane = Math.floor(view.top); lane < Math.min(lanes, Math.ceil(view.bottom)); lane += 1) drawLane(pen, lane, width);
    if (left) drawNodes(pen);
    axisBelow(pen, axis, { y: height - AXIS, write: seconds, kind: "seconds", left, right: width });
  }

  // Whether the lanes are as high as their nodes' names.
  const named = () => rowHeight() >= 11;

  const rowHeight = () => (height - AXIS) / (view.bottom - view.top);

  function drawLane(pen, lane, width) {
    const row = rowHeight();
    const [y, bar] = [(lane - view.top) * row, Math.max(1, row > 4 ? row - 1 : row)];
    const { shares, edges } = columnsOf(lane, width);
    let from = left;
    for (let x = left; x <= width; x += 1) {
      const only = x < width ? shares[x] : null;
      if (only === shares[from] && typeof only !== "object") continue;
      pile(pen, shares[from], { x: from, y, wide: x - from, bar });
      from = x;
    }
    pen.fillStyle = colour("ground");
    for (const x of edges) pen.fillRect(x - 0.7, y, 0.7, bar);
  }

  // What is in each pixel column of a lane: nothing, the number of the only kind, or the time of each. And where bars
  // that are wide enough to be told apart end.
  function columnsOf(lane, width) {
    const shares = new Array(width);
    const edges = [];
    for (let span = spanAt(lane, view.from); span < firsts[lane + 1] && raw.span_start[span] <= view.to; span += 1) {
      const kind = ORDER.indexOf(raw.span_kind[span]);
      const [start, end] = [Math.max(left, axis.to(raw.span_start[span])), Math.min(width, axis.to(raw.span_end[span]))];
      for (let x = Math.floor(start); x < width && (x < end || x === Math.floor(start)); x += 1) {
        shares[x] = added(shares[x], kind, Math.max(0.01, Math.min(end, x + 1) - Math.max(start, x)));
      }
      if (end - start > 4) edges.push(end);
    }
    return { shares, edges };
  }

  function added(share, kind, time) {
    if (share === undefined || share === kind) return kind;
    const times = typeof share === "object" ? share : ORDER.map((_, other) => (other === share ? 0.5 : 0));
    times[kind] += time;
    return times;
  }

  function pile(pen, share, { x, y, wide, bar }) {
    if (share === undefined) return;
    if (typeof share === "number") {
      pen.fillStyle = colour(KINDS[ORDER[share]]);
      pen.fillRect(x, y, wide, bar);
      return;
    }
    const all = share.reduce((sum, time) => sum + time);
    let top = y + bar;
    share.forEach((time, kind) => {
      if (!time) return;
      const high = Math.min(top - y, Math.max((time / all) * bar, Math.min(SEEN, bar / 2)));
      pen.fillStyle = colour(KINDS[ORDER[kind]]);
      pen.fillRect(x, top - high, wide, high);
      top -= high;
    });
  }

  // The name of each node beside its first lane that is in sight.
  function drawNodes(pen) {
    pen.textAlign = "left";
    for (let lane = Math.floor(view.top); lane < Math.min(lanes, Math.ceil(view.bottom)); lane += 1) {
      if (lane > Math.floor(view.top) && node(lane) === node(lane - 1)) continue;
      const y = (lane - view.top) * rowHeight();
      pen.fillStyle = colour("line");
      pen.fillRect(0, Math.round(y) - 1, left, 1);
      pen.fillStyle = colour("dim");
      pen.fillText(node(lane), 4, y + rowHeight() / 2, left - 8);
    }
  }

  const node = (lane) => raw.lanes.values[raw.lanes.codes[lane]];

  // The first attempt of a lane that has not ended before a moment.
  function spanAt(lane, moment) {
    let [low, high] = [firsts[lane], firsts[lane + 1]];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (raw.span_end[middle] < moment) low = middle + 1; else high = middle;
    }
    return low;
  }

  function under(event) {
    const [x, y] = at(event, canvas);
    const lane = Math.floor(view.top + y / rowHeight());
    if (x < left || y > height - AXIS || lane < 0 || lane >= lanes) return null;
    const moment = axis.back(x);
    const slack = Math.abs(axis.back(x + 2) - moment);
    const span = spanAt(lane, moment - slack);
    return span < firsts[lane + 1] && raw.span_start[span] <= moment + slack ? { lane, span } : null;
  }

  function zoom(factor, center) {
    const length = Math.min((view.to - view.from) * factor, all.to - all.from);
    if (length < 0.005) return;
    view.from = center - ((center - view.from) / (view.to - view.from)) * length;
    view.to = view.from + length;
    move(0, 0);
  }

  function zoomLanes(factor, center) {
    const length = Math.max(1, Math.min((view.bottom - view.top) * factor, lanes));
    view.top = center - ((center - view.top) / (view.bottom - view.top)) * length;
    view.bottom = view.top + length;
    move(0, 0);
  }

  function move(time, lanesDown) {
    const length = view.to - view.from;
    const rows = view.bottom - view.top;
    view.from = Math.min(Math.max(view.from + time, all.from), all.to - length);
    view.top = Math.min(Math.max(view.top + lanesDown, 0), lanes - rows);
    view.to = view.from + length;
    view.bottom = view.top + rows;
    draw();
  }

  function reset() {
    Object.assign(view, all);
    draw();
  }

  const center = () => (view.from + view.to) / 2;
  const step = () => (view.to - view.from) / 6;
  const KEYS = {
    "+": () => zoom(0.6, center()), "=": () => zoom(0.6, center()), "-": () => zoom(1 / 0.6, center()), 0: reset,
    ArrowLeft: () => move(-step(), 0), ArrowRight: () => move(step(), 0),
    ArrowUp: () => move(0, -(view.bottom - view.top) / 6), ArrowDown: () => move(0, (view.bottom - view.top) / 6),
  };
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
    event.preventDefault();
    KEYS[event.key]();
  });
  canvas.addEventListener("wheel", (event) => {
    const [x, y] = at(event, canvas);
    const factor = event.deltaY < 0 ? 0.8 : 1.25;
    if (!event.shiftKey && factor > 1 && view.to - view.from >= (all.to - all.from) * 0.999) return;
    event.preventDefault();
    if (event.shiftKey) zoomLanes(factor, view.top + y / rowHeight()); else zoom(factor, axis.back(x));
  }, { passive: false });

  let held = null;
  canvas.addEventListener("pointerdown", (event) => {
    held = { x: event.clientX, y: event.clientY, moved: false };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!held) {
      say(under(event));
      return;
    }
    const [right, down] = [event.clientX - held.x, event.clientY - held.y];
    if (!held.moved && Math.hypot(right, down) < 4) return;
    held = { x: event.clientX, y: event.clientY, moved: true };
    move((-right / (canvas.clientWidth - left)) * (view.to - view.from), -down / rowHeight());
  });
  canvas.addEventListener("pointerup", (event) => {
    const found = held && !held.moved && under(event);
    held = null;
    if (found) choose(raw.span_task[found.span]);
  });
  canvas.addEventListener("pointercancel", () => { held = null; });

  const below = section.querySelector(".under");
  function say(found) {
    if (!found) return;
    const { lane, span } = found;
    const [start, end] = [raw.span_start[span], raw.span_end[span]];
    const fate = raw.span_kind[span] === "e" ? "an attempt that was not the last" : STATES[raw.span_kind[span]];
    below.textContent = `${job.id(raw.span_task[span])}: ${fate}, ${seconds(end - start)} on ${node(lane)}, from ${seconds(start)} to ${seconds(end)} after the submission`;
  }

  for (const button of section.querySelectorAll("[data-do]")) {
    button.addEventListener("click", KEYS[{ in: "+", out: "-", all: "0" }[button.dataset.do]]);
  }
  section.querySelector(".again").hidden = !raw.span_kind.includes("e");
  const told = inWords(raw, lanes, first, last);
  section.querySelector(".words").textContent = told;
  canvas.setAttribute("aria-label", `Timeline. ${told}`);
  drawn(canvas, draw);
}

function bounds(raw) {
  let [first, last] = [0, 0];
  for (const start of raw.span_start) first = Math.min(first, start);
  for (const end of raw.span_end) last = Math.max(last, end);
  return [first, Math.max(last, first + 0.01)];
}

// What the picture shows, for those who do not see it.
function inWords(raw, lanes, first, last) {
  let busy = 0;
  let from = Infinity;
  for (let span = 0; span < raw.span_start.length; span += 1) {
    busy += raw.span_end[span] - raw.span_start[span];
    from = Math.min(from, raw.span_start[span]);
  }
  const nodes = raw.lanes.values.length;
  const share = Math.round((100 * busy) / Math.max(0.01, (last - from) * lanes));
  const beside = lanes > nodes ? `, up to ${whole.format(lanes)} tasks at once` : "";
  return `${whole.format(raw.span_start.length)} attempts on ${whole.format(nodes)} node${nodes === 1 ? "" : "s"}${beside}; `
    + `the first began ${seconds(from)} after the submission, the last ended after ${seconds(last)}; from then to then the lanes were ${share} % busy.`;
}
