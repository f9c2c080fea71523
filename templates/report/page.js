// Page: puts the parts to work: one job at a time, the colours, copying, printing.

function bring(article) {
  if (article.dataset.ready) return;
  article.dataset.ready = "yes";
  const data = article.querySelector("script.data");
  const job = readJob(JSON.parse(data.textContent));
  data.remove();
  if (!job.size) return;
  const { choose } = table(article.querySelector(".tasks"), job);
  timeline(article.querySelector(".timeline"), job, choose);
  for (const section of article.querySelectorAll(".histogram")) histogram(section, job);
  plot(article.querySelector(".plot"), job, choose);
}

// Shows the job that the address names, or the first one.
function turn() {
  const articles = [...document.querySelectorAll(".job")];
  const named = articles.find((article) => `#${article.id}` === decodeURIComponent(location.hash)) ?? articles[0];
  for (const article of articles) article.hidden = article !== named;
  for (const link of document.querySelectorAll("[data-part]")) {
    link.setAttribute("aria-current", String(articles[link.dataset.part] === named));
  }
  if (named) bring(named);
}

const THEMES = { auto: ["◐", "as the system has them"], light: ["○", "light"], dark: ["●", "dark"] };

function theme(name) {
  document.documentElement.dataset.theme = name;
  const button = document.getElementById("theme");
  button.replaceChildren(`${THEMES[name][0]} `, element("span", {}, name));
  button.setAttribute("aria-label", `Colours: ${THEMES[name][1]}`);
  document.dispatchEvent(new Event("redraw"));
}

async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const field = element("textarea", { readonly: "" });
    field.value = text;
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
    button.focus();
  }
  button.textContent = "copied";
  setTimeout(() => { button.textContent = "copy"; }, 1500);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button.copy");
  if (button) copy(button.dataset.copy ?? document.getElementById(button.dataset.copyOf).textContent, button);
});
document.getElementById("theme").addEventListener("click", () => {
  const names = Object.keys(THEMES);
  theme(names[(names.indexOf(document.documentElement.dataset.theme) + 1) % names.length]);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => document.dispatchEvent(new Event("redraw")));
window.addEventListener("hashchange", turn);
let before = "auto";
window.addEventListener("beforeprint", () => { before = document.documentElement.dataset.theme; theme("light"); });
window.addEventListener("afterprint", () => theme(before));

for (const moment of document.querySelectorAll("time")) {
  moment.title = moment.dateTime;
  moment.textContent = new Date(moment.dateTime).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}
for (const part of document.querySelectorAll(".bar span")) part.style.flexGrow = part.dataset.share;
theme("auto");
turn();
