/* <bible-faq>: the questions and answers of a town, in a page of its website. No dependency, no cookie, no storage, no tracker.

   <script type="module" src="https://bible.ville.example/widget.js"></script>
   <bible-faq service="dechets" lang="fr" theme="auto"><a href="https://bible.ville.example/faq">Questions fréquentes</a></bible-faq>

   The link inside is shown until the questions are there, and again when the server fails. Everything else lives in a shadow root, with
   constructed style sheets and nodes made one by one: no inline style, no HTML sink, so it holds under a strict policy and Trusted Types. */

const BASE = new URL(".", import.meta.url);
const API = new URL("api/public/v1/", BASE);
const PAUSE_MS = 250;
const MAX_CHARS = 1000;

const WORDS = {
  fr: {
    ask: "Posez votre question",
    browse: "Questions par service",
    found: (n) => (n > 1 ? `${n} réponses possibles` : "1 réponse possible"),
    none: "Nous n’avons pas trouvé de réponse à cette question.",
    contact: "Vous pouvez la poser à :",
    page: "Lire la page complète",
    all: "Toutes les questions",
    clear: "Effacer la question",
    down: "La recherche ne répond pas pour le moment.",
    busy: "Beaucoup de questions arrivent à la fois : la réponse vient dans un instant.",
  },
  en: {
    ask: "Ask your question",
    browse: "Questions by department",
    found: (n) => (n > 1 ? `${n} possible answers` : "1 possible answer"),
    none: "We found no answer to this question.",
    contact: "You can ask:",
    page: "Read the full page",
    all: "All questions",
    clear: "Clear the question",
    down: "The search does not answer at the moment.",
    busy: "Many questions are coming in: the answer will follow in a moment.",
  },
};

const SHEET = `
:host { display: block; color-scheme: inherit; font-family: var(--bible-font, inherit); text-align: start;
  --accent: var(--bible-accent, light-dark(#1f5673, #8cc4e0)); --surface: var(--bible-surface, light-dark(#fff, #1c2226));
  --ink: var(--bible-ink, light-dark(#1b2327, #e6eaeb)); --muted: var(--bible-muted, light-dark(#55626a, #a3b0b6));
  --line: var(--bible-line, light-dark(#848f95, #7d8a91)); --radius: var(--bible-radius, 8px); }
:host([hidden]), [hidden] { display: none !important; }
:host([theme="light"]) { color-scheme: light; }
:host([theme="dark"]) { color-scheme: dark; }
:host([theme="auto"]) { color-scheme: light dark; }
* { box-sizing: border-box; }
.box { position: relative; background: var(--surface); color: var(--ink); border: 1px solid var(--line); border-radius: var(--radius);
  line-height: 1.5; overflow-wrap: anywhere; }
.field { display: flex; }
input { flex: 1; min-width: 0; height: 2.5em; padding: 0 .75em; border: 0; border-radius: var(--radius); background: none; color: inherit;
  font: inherit; }
input::placeholder { color: var(--muted); opacity: 1; }
input::-webkit-search-cancel-button { display: none; }
button { font: inherit; color: inherit; background: none; border: 0; border-radius: var(--radius); cursor: pointer; text-align: start; }
.clear { flex: none; width: 2.5em; text-align: center; color: var(--muted); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.field :focus-visible { outline-offset: -1px; }
.panel { min-height: var(--bible-height, 22em); padding: .25em .75em .75em; border-top: 1px solid var(--line); }
p { margin: .5em 0; }
.title { font-weight: 600; color: var(--muted); font-size: .875em; }
ul { list-style: none; margin: 0; padding: 0; }
.rows > li + li { border-top: 1px solid color-mix(in srgb, var(--line) 35%, transparent); }
.row, [role="option"] { display: flex; gap: .5em; width: 100%; padding: .6em .5em; cursor: pointer; min-height: 2.75em; }
[role="option"] { border-radius: var(--radius); }
.row::before, [role="option"]::before { content: "›"; flex: none; color: var(--accent); font-weight: 700; transition: rotate .15s; }
.row[aria-expanded="true"]::before { rotate: 90deg; }
.row > :first-child, [role="option"] > :first-child { flex: 1; }
.row:hover, [role="option"]:hover { text-decoration: underline; text-underline-offset: .15em; }
[role="option"][aria-selected="true"] { outline: 2px solid var(--accent); outline-offset: -2px; }
.count { color: var(--muted); }
.fold { padding: 0 .5em .5em 1.5em; }
.fold ul:not(.rows) { list-style: disc; padding-inline-start: 1.25em; }
.fold table { display: block; overflow-x: auto; }
a { color: var(--accent); text-underline-offset: .15em; }
.contact strong { display: block; }
.contact span, .contact a { display: block; }
.quiet { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
@media (prefers-reduced-motion: reduce) { * { transition: none !important; } }
@media (forced-colors: active) { [role="option"][aria-selected="true"] { outline-color: Highlight; } }
`;

/* ---- nodes ---- */

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

const TAGS = new Set(
  "a abbr blockquote br code dd del div dl dt em hr li mark ol p pre strong sub sup table tbody td th thead tr ul".split(" "),
);
const ATTRIBUTES = new Set(["title", "start", "colspan", "rowspan", "scope"]);
const TOKEN = /<(\/?)([a-z][a-z0-9]*)((?:\s+[a-z-]+="[^"]*")*)\s*\/?>|([^<]+|<)/g;
const ENTITIES = { amp: "&", lt: "<", gt: ">", quot: '"', nbsp: "\u00a0" };

const decoded = (text) =>
  text.replace(/&(?:#x([0-9a-f]{1,6})|#(\d{1,7})|([a-z]+));/gi, (whole, hex, decimal, name) => {
    if (name) return ENTITIES[name] ?? whole;
    const code = parseInt(hex ?? decimal, hex ? 16 : 10);
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });

/* An address that may be followed, or null: relative ones start from the server, not from the page. */
function address(value) {
  try {
    const url = new URL(value, BASE);
    return ["http:", "https:", "mailto:", "tel:"].includes(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

/* The server's sanitised HTML → nodes. What is not in the lists above is left out, its words kept; an image gives its words. */
function answerNodes(html) {
  const top = document.createDocumentFragment();
  const open = [top];
  for (const [, end, tag, given, text] of String(html).matchAll(TOKEN)) {
    const parent = open.at(-1);
    if (text) parent.append(decoded(text));
    else if (end) {
      const at = open.findLastIndex((node) => node.localName === tag);
      if (at > 0) open.length = at;
    } else {
      const attributes = Object.fromEntries([...given.matchAll(/([a-z-]+)="([^"]*)"/g)].map(([, name, value]) => [name, decoded(value)]));
      if (tag === "img") parent.append(attributes.alt ?? "");
      if (!TAGS.has(tag)) continue;
      const kept = Object.fromEntries(Object.entries(attributes).filter(([name]) => ATTRIBUTES.has(name)));
      if (tag === "a") kept.href = address(attributes.href);
      const node = make(tag, kept);
      parent.append(node);
      if (tag !== "br" && tag !== "hr") open.push(node);
    }
  }
  return top;
}

/* ---- the server ---- */

class Busy extends Error {
  constructor(seconds) {
    super();
    this.seconds = seconds;
  }
}

async function call(path, body, signal) {
  const options = { credentials: "omit", referrerPolicy: "no-referrer", signal };
  if (body) Object.assign(options, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  const response = await fetch(new URL(path, API), options);
  if (response.status === 429) throw new Busy(Math.min(Number(response.headers.get("Retry-After")) || 5, 60));
  if (!response.ok) throw new Error(response.status);
  return response.json();
}

let asked; // the services, asked once a page

function services() {
  asked ??= call("services").catch((error) => {
    asked = undefined;
    throw error;
  });
  return asked;
}

/* ---- the element ---- */

const sheet = new CSSStyleSheet();
sheet.replaceSync(SHEET);

class BibleFaq extends HTMLElement {
  static observedAttributes = ["service", "lang"];
  #root = this.attachShadow({ mode: "open" });
  #services = [];
  #timer;
  #aborter;
  #active = -1;
  #found = [];
  #built = false;

  constructor() {
    super();
    this.#root.append(make("slot")); // the link inside, as it was
  }

  async connectedCallback() {
    if (this.#built) return;
    try {
      this.#services = (await services()).services;
    } catch {
      return; // the link stays
    }
    if (this.isConnected && !this.#built) this.#build();
  }

  disconnectedCallback() {
    clearTimeout(this.#timer);
    this.#aborter?.abort();
  }

  attributeChangedCallback() {
    if (this.#built) this.#build();
  }

  get #language() {
    const wanted = (this.getAttribute("lang") || this.closest("[lang]")?.lang || navigator.language).slice(0, 2).toLowerCase();
    return wanted in WORDS ? wanted : "fr";
  }

  #build() {
    const lang = this.#language;
    const words = (this.words = WORDS[lang]);
    const make_ = (name, ...rest) => (this[name] = make(...rest));
    make_("input", "input", {
      id: "ask", type: "search", role: "combobox", "aria-autocomplete": "list", "aria-controls": "options", "aria-expanded": "false",
      autocomplete: "off", enterkeyhint: "search", maxlength: MAX_CHARS, placeholder: words.ask, "aria-label": words.ask, title: words.ask,
    });
  }
}
