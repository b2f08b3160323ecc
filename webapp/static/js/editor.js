// The editor: a live preview with the checks beside each field, counters, a link picker, and a warning before work is lost.
import { toast } from "./app.js";

const form = document.getElementById("editor");
const preview = document.getElementById("preview");
const near = document.getElementById("near");
const words = form.dataset;
const DELAY_MS = 400;
let timer;
let pending;
let isChanged = "unsaved" in words;

// ---- the preview ----
function showNotes(findings) {
  for (const list of form.querySelectorAll("[data-notes]")) {
    list.replaceChildren(...(findings[list.dataset.notes] ?? []).map(({ severity, message }) => {
      const line = document.createElement("li");
      line.className = `note-${severity}`;
      line.textContent = message;
      return line;
    }));
  }
}

async function refresh() {
  pending?.abort();
  pending = new AbortController();
  const open = [...preview.querySelectorAll("details")].findIndex((one) => one.open);
  try {
    const answer = await fetch(words.previewUrl, { method: "POST", body: new FormData(form), signal: pending.signal, headers: { "X-Bible-Fragment": "1" } });
    if ([400, 401].includes(answer.status)) { toast(words.expired, "error"); return; }
    if (!answer.ok) throw new Error(String(answer.status));
    const found = await answer.json();
    preview.innerHTML = found.html;
    near.innerHTML = found.near;
    showNotes(found.findings);
    const channels = preview.querySelectorAll("details");
    if (open > 0 && channels[open]) channels[open].open = true;
  } catch (error) {
    if (error.name !== "AbortError") toast(words.previewFailed, "error");
  }
}

// ---- counters ----
function count(field) {
  const counter = form.querySelector(`[data-count="${CSS.escape(field.name)}"]`);
  if (!counter) return;
  const limit = Number(counter.dataset.limit);
  const isOver = field.value.length > limit;
  counter.textContent = `${field.value.length} / ${limit}${isOver ? ` · ${words.over}` : ""}`;
  counter.classList.toggle("over", isOver);
}

form.querySelectorAll("textarea").forEach(count);
form.addEventListener("input", (event) => {
  isChanged = true;
  if (event.target.type === "radio") return; // see the conflicts
  count(event.target);
  keepOwn(event.target);
  clearTimeout(timer);
  timer = setTimeout(refresh, DELAY_MS);
});
form.addEventListener("submit", () => { isChanged = false; });
form.querySelector("[data-leave]").addEventListener("click", () => { isChanged = false; });
addEventListener("beforeunload", (event) => { if (isChanged) event.preventDefault(); });

// ---- conflicts: the text that is chosen goes into the field, and what is typed there is one's own ----
const own = new Map();

function keepOwn(field) {
  const box = form.querySelector(`[data-conflict="${CSS.escape(field.name)}"]`);
  if (!box) return;
  own.set(field.name, field.value);
  box.querySelector("[value=own]").checked = true;
}

form.addEventListener("change", (event) => {
  const box = event.target.type === "radio" && event.target.closest(".conflict");
  if (!box) return;
  const name = box.dataset.conflict;
  const field = form.elements[name];
  const typed = own.get(name) ?? field.value;
  field.value = box.querySelector(`[data-side="${event.target.value}"]`)?.textContent ?? typed;
  field.dispatchEvent(new Event("input", { bubbles: true }));
  own.set(name, typed);
  event.target.checked = true;
});

// ---- what is put at the caret ----
function insert(field, text) {
  field.focus();
  field.setRangeText(text, field.selectionStart, field.selectionEnd, "end");
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

const valuePicker = document.getElementById("value-picker");
const linkPicker = document.getElementById("link-picker");
const input = document.getElementById("link-words");
const list = document.getElementById("link-list");
const { searchUrl, wordNone } = document.body.dataset;
let target;
let active = -1;
let looking;
let lookTimer;

form.addEventListener("click", (event) => {
  const button = event.target.closest("[data-pick-link], [data-pick-value]");
  if (!button) return;
  target = form.elements[button.dataset.pickLink ?? button.dataset.pickValue];
  if (button.dataset.pickValue) { valuePicker.showModal(); return; }
  input.value = "";
  linkPicker.showModal();
  look();
});
valuePicker.addEventListener("click", (event) => {
  if (event.target === valuePicker) { valuePicker.close(); return; }
  const button = event.target.closest("[data-value]");
  if (!button) return;
  valuePicker.close();
  insert(target, button.dataset.value);
});

function setActive(index) {
  const options = [...list.querySelectorAll("[role=option]")];
  active = options.length ? (index + options.length) % options.length : -1;
  options.forEach((option, at) => option.setAttribute("aria-selected", String(at === active)));
  input.setAttribute("aria-activedescendant", active >= 0 ? options[active].id : "");
  options[active]?.scrollIntoView({ block: "nearest" });
}

async function look() {
  looking?.abort();
  looking = new AbortController();
  const typed = input.value.trim();
  const query = typed ? `${typed} OR ${typed.split(/\s+/).at(-1).replace(/[^\p{L}\p{N}]/gu, "")}*` : "*";
  try {
    const answer = await fetch(`${searchUrl}?limit=8&q=${encodeURIComponent(query.slice(0, 200))}`, { signal: looking.signal });
    const { results } = answer.ok ? await answer.json() : { results: [] };
    list.replaceChildren(...results.map(({ slug, title }, at) => {
      const option = document.createElement("li");
      option.id = `link-${at}`;
      option.role = "option";
      option.dataset.slug = slug;
      option.textContent = title;
      return option;
    }));
    if (!results.length) list.textContent = wordNone;
    setActive(0);
  } catch (error) {
    if (error.name !== "AbortError") list.textContent = wordNone;
  }
}

function pick() {
  const slug = list.querySelectorAll("[role=option]")[active]?.dataset.slug;
  if (!slug) return;
  linkPicker.close();
  // A list of addresses takes one a line; a text takes a link.
  if (target.name === "see_also") {
    target.value = [...target.value.split("\n").filter((line) => line.trim() && line.trim() !== slug), slug].join("\n");
    insert(target, "");
  } else {
    insert(target, `[[${slug}]]`);
  }
}

input.addEventListener("input", () => { clearTimeout(lookTimer); lookTimer = setTimeout(look, 120); });
input.addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    setActive(active + (event.key === "ArrowDown" ? 1 : -1));
  } else if (event.key === "Enter") {
    event.preventDefault();
    pick();
  } else if (event.key === "Escape") {
    // A search field would only be emptied.
    event.preventDefault();
    linkPicker.close();
  }
});
list.addEventListener("click", (event) => {
  const option = event.target.closest("[role=option]");
  if (!option) return;
  setActive([...list.children].indexOf(option));
  pick();
});
linkPicker.addEventListener("click", (event) => { if (event.target === linkPicker) linkPicker.close(); });
