// What every page has: theme, keyboard shortcuts, the palette (Ctrl + K) and the toast.

const toastElement = document.getElementById("toast");
let toastTimer;

export function toast(words, kind = "ok") {
  clearTimeout(toastTimer);
  toastElement.textContent = words;
  toastElement.className = `show ${kind}`;
  toastTimer = setTimeout(() => { toastElement.className = ""; }, kind === "ok" ? 2500 : 6000);
}

export function isTyping(target) {
  if (!(target instanceof HTMLElement)) return false;
  const isPressed = target.matches("input:is([type=radio], [type=checkbox], [type=button], [type=submit])");
  return target.isContentEditable || (target.matches("input, textarea, select") && !isPressed);
}

document.getElementById("theme-toggle")?.addEventListener("click", () => {
  const root = document.documentElement;
  const isDark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = isDark ? "light" : "dark";
  try { localStorage.setItem("bible-theme", root.dataset.theme); } catch { /* not kept, that is all */ }
});

// ---- the palette: a combobox over the article search ----
const palette = document.getElementById("palette");
const input = document.getElementById("palette-input");
const list = document.getElementById("palette-list");
const { searchUrl, articlesUrl, wordNone, wordError } = document.body.dataset;
const serviceNames = JSON.parse(list?.dataset.services ?? "{}");
let active = -1;
let isStale = false; // the list does not answer yet what is written
let pending;
let timer;

function openPalette() {
  if (!palette || palette.open) return;
  palette.showModal();
  input.select();
  if (!list.children.length) look();
}

function setActive(index) {
  const options = [...list.querySelectorAll("[role=option]")];
  active = options.length ? (index + options.length) % options.length : -1;
  options.forEach((option, at) => option.setAttribute("aria-selected", String(at === active)));
  input.setAttribute("aria-activedescendant", active >= 0 ? options[active].id : "");
  options[active]?.scrollIntoView({ block: "nearest" });
}

function show(results) {
  list.replaceChildren(...results.map((result, at) => {
    const option = document.createElement("li");
    option.id = `palette-${at}`;
    option.role = "option";
    option.dataset.slug = result.slug;
    const title = document.createElement("span");
    title.textContent = result.title;
    const owner = document.createElement("span");
    owner.className = "hint";
    owner.textContent = serviceNames[result.service] ?? result.service;
    option.append(title, owner);
    return option;
  }));
  setActive(0);
}

function say(words) {
  const line = document.createElement("li");
  line.className = "hint";
  line.textContent = words;
  list.replaceChildren(line);
  active = -1;
}

export async function searchArticles(typed, signal) {
  const words = typed.trim();
  // Keywords typed in a search, never a citizen's message: they may travel in an address.
  const query = words ? `${words} OR ${words.split(/\s+/).at(-1).replace(/[^\p{L}\p{N}]/gu, "")}*` : "*";
  const answer = await fetch(`${searchUrl}?limit=8&q=${encodeURIComponent(query.slice(0, 200))}`, { signal });
  if (!answer.ok) throw new Error(String(answer.status));
  return (await answer.json()).results;
}

async function look() {
  pending?.abort();
  pending = new AbortController();
  try {
    const results = await searchArticles(input.value, pending.signal);
    isStale = false;
    if (results.length) show(results); else say(wordNone);
  } catch (error) {
    if (error.name !== "AbortError") say(wordError);
  }
}

// Who types a word and Enter in one go wants what that word finds.
async function enter() {
  clearTimeout(timer);
  if (isStale) await look();
  if (!isStale) go();
}

function go() {
  const option = list.querySelectorAll("[role=option]")[active];
  if (option) location.assign(`${articlesUrl.replace(/\/?$/, "/")}${encodeURIComponent(option.dataset.slug)}`);
}

document.getElementById("palette-open")?.addEventListener("click", openPalette);
input?.addEventListener("input", () => { isStale = true; clearTimeout(timer); timer = setTimeout(look, 120); });
input?.addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    setActive(active + (event.key === "ArrowDown" ? 1 : -1));
  } else if (event.key === "Enter") {
    event.preventDefault();
    enter();
  }
});
list?.addEventListener("click", (event) => {
  const option = event.target.closest("[role=option]");
  if (!option) return;
  setActive([...list.children].indexOf(option));
  go();
});
palette?.addEventListener("click", (event) => { if (event.target === palette) palette.close(); });

document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
    event.preventDefault();
    if (palette?.open) palette.close(); else openPalette();
  } else if (event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey && !isTyping(event.target)) {
    event.preventDefault();
    document.getElementById("topsearch")?.focus();
  }
});
