// Draw: what the charts share: a canvas as sharp as the screen, the page's colours, axes.

const probe = element("span", { hidden: "" });
document.body.append(probe);

const colours = new Map();
document.addEventListener("redraw", () => colours.clear());

// A colour of the style sheet as a canvas can be given it.
function colour(name) {
  if (!colours.has(name)) {
    probe.style.color = `var(--${name})`;
    colours.set(name, getComputedStyle(probe).color);
  }
  return colours.get(name);
}

// A canvas of this height, cleared, in CSS pixels.
function surface(canvas, height) {
  const [width, ratio] = [canvas.clientWidth, window.devicePixelRatio || 1];
  canvas.style.height = `${height}px`;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  pen.font = "11px system-ui, sans-serif";
  pen.textBaseline = "middle";
  return { pen, width, height };
}

// Round values between two others, about `count` of them. Times go by minutes and hours, not by tens.
function ticks(low, high, count, kind) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const decimal = [1, 2, 5, 10].map((step) => step * power);
  const timely = [60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 21600, 43200, 86400];
  const steps = kind === "seconds" && rough > 20 && rough < 86400 ? timely : decimal;
  const step = steps.find((one) => one >= rough) ?? steps[steps.length - 1];
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-9; at += step) found.push(+at.toPrecision(12));
  return found;
}

// The powers of ten between two values, or round values if there are hardly any.
function logTicks(low, high, kind) {
  const found = [];
  for (let power = Math.ceil(Math.log10(low)); 10 ** power <= high * 1.0001; power += 1) found.push(10 ** power);
  return found.length > 1 ? found : ticks(low, high, 4, kind);
}

// A scale from values to pixels, and back. With `log` all values must be above 0.
function scale(low, high, from, to, log) {
  if (low === high) [low, high] = log ? [low / 2, high * 2] : [low - 0.5, high + 0.5];
  const [bend, unbend] = log ? [Math.log, Math.exp] : [(value) => value, (value) => value];
  const [a, b] = [bend(low), bend(high)];
  return {
    low, high, log,
    to: (value) => from + ((bend(value) - a) / (b - a)) * (to - from),
    back: (pixel) => unbend(a + ((pixel - from) / (to - from)) * (b - a)),
  };
}

function ticksOf(axis, count, kind) {
  return axis.log ? logTicks(axis.low, axis.high, kind) : ticks(axis.low, axis.high, count, kind);
}

// The axis below a chart, between two pixels; ticks that would overlap are left out.
function axisBelow(pen, axis, { y, write, kind, left, right }) {
  pen.fillStyle = colour("dim");
  pen.strokeStyle = colour("line");
  pen.textAlign = "center";
  let taken = -Infinity;
  for (const value of ticksOf(axis, Math.max(2, (right - left) / 75), kind)) {
    const [x, text] = [axis.to(value), write(value)];
    const half = pen.measureText(text).width / 2;
    if (x < left - 1 || x > right + 1 || x - half < taken) continue;
    pen.fillRect(Math.round(x), y, 1, 4);
    pen.fillText(text, Math.min(Math.max(x, left + half), right - half), y + 12);
    taken = x + half + 8;
  }
}

function axisLeft(pen, axis, { x, right, write, kind }) {
  pen.textAlign = "right";
  for (const value of ticksOf(axis, 4, kind)) {
    const y = Math.round(axis.to(value));
    pen.fillStyle = colour("line");
    pen.fillRect(x, y, right - x, 1);
    pen.fillStyle = colour("dim");
    pen.fillText(write(value), x - 5, y);
  }
}

// Draws a chart when there is room for it, and again when that changes.
function drawn(canvas, draw) {
  let width = 0;
  new ResizeObserver(() => {
    if (canvas.clientWidth && canvas.clientWidth !== width) {
      width = canvas.clientWidth;
      draw();
    }
  }).observe(canvas);
  document.addEventListener("redraw", () => canvas.clientWidth && draw());
}

// Where the pointer is, in CSS pixels of a canvas.
function at(event, canvas) {
  const box = canvas.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}
