/* <bible-faq>: the questions and answers of a town, in a page of its website. No dependency, no cookie, no storage, no tracker.

   <script type="module" src="https://bible.ville.example/widget.js"></script>
   <bible-faq service="dechets" lang="fr" theme="auto"><a href="https://bible.ville.example/faq">Questions fréquentes</a></bible-faq>

   The link inside is shown until the questions are there, and again when the server fails. Everything else lives in a shadow root, with
   constructed style sheets and nodes made one by one: no inline style, no HTML sink, so it holds under a strict policy and Trusted Types. */

const BASE = new URL(".", import.meta.url);
const API = new URL("api/public/v1/", BASE);
const PAUSE_MS = 150;
// What follows a key within half a second is the person's own doing, for them as for the browser (CLS); later, the page must not move.
const OWN_DOING_MS = 400;
const MAX_CHARS = 1000;
// From this height on, the page has kept room for the questions.
const ROOM_PX = 200;
// What is left between the field and what follows it.
const GAP_PX = 6;

const WORDS = {
  fr: {
    ask: "Posez votre question",
    browse: "Questions par service",
    found: (n) => (n > 1 ? `${n} réponses possibles` : "1 réponse possible"),
    none: "Nous n’avons pas trouvé de réponse à cette question.",
    contact: "Vous pouvez la poser à :",
    page: "Lire la page complète",
    site: "Site internet",
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
    site: "Website",
    all: "All questions",
    clear: "Clear the question",
    down: "The search does not answer at the moment.",
    busy: "Many questions are coming in: the answer will follow in a moment.",
  },
};

const SHEET = `
:host { display: block; position: relative; color-scheme: inherit; font-family: var(--bible-font, inherit); text-align: start;
  --_accent: var(--bible-accent, light-dark(#1f5673, #8cc4e0)); --_surface: var(--bible-surface, light-dark(#fff, #1c2226));
  --_ink: var(--bible-ink, light-dark(#1b2327, #e6eaeb)); --_muted: var(--bible-muted, light-dark(#55626a, #a3b0b6));
  --_line: var(--bible-line, light-dark(#848f95, #7d8a91)); --_radius: var(--bible-radius, 8px); }
@supports not (color: light-dark(red, red)) { :host { --_accent: var(--bible-accent, #1f5673); --_surface: var(--bible-surface, #fff);
  --_ink: var(--bible-ink, #1b2327); --_muted: var(--bible-muted, #55626a); --_line: var(--bible-line, #848f95); } }
:host([hidden]), [hidden] { display: none !important; }
:host([theme="light"]) { color-scheme: light; }
:host([theme="dark"]) { color-scheme: dark; }
:host([theme="auto"]) { color-scheme: light dark; }
* { box-sizing: border-box; }
.box { position: relative; background: var(--_surface); color: var(--_ink); box-shadow: inset 0 0 0 1px var(--_line); border-radius: var(--_radius);
  line-height: 1.5; overflow-wrap: anywhere; }
.field { display: flex; }
input { flex: 1; min-width: 0; height: 2.25em; padding: 0 .75em; border: 0; border-radius: var(--_radius); background: none; color: inherit;
  font: inherit; }
input::placeholder { color: var(--_muted); opacity: 1; }
input::-webkit-search-cancel-button { display: none; }
button { font: inherit; color: inherit; background: none; border: 0; border-radius: var(--_radius); cursor: pointer; text-align: start; }
.clear { flex: none; width: 2.25em; text-align: center; color: var(--_muted); }
:focus-visible { outline: 2px solid var(--_accent); outline-offset: 2px; }
.field :focus-visible { outline-offset: -1px; }
.panel { min-height: var(--bible-height, 24em); padding: .25em .75em .75em; border-top: 1px solid var(--_line); }
.strut { height: 0; overflow: hidden; visibility: hidden; }
.roomy { position: absolute; inset: 0; display: flex; flex-direction: column; }
.roomy .panel { flex: 1; min-height: 0; overflow: auto; margin: 0 1px 1px; }
p { margin: .5em 0; }
.title { font-weight: 600; color: var(--_muted); font-size: .875em; }
ul { list-style: none; margin: 0; padding: 0; }
.rows > li + li { border-top: 1px solid color-mix(in srgb, var(--_line) 35%, transparent); }
.row, [role="option"] { display: flex; gap: .5em; width: 100%; padding: .6em .5em; cursor: pointer; min-height: 2.75em; }
[role="option"] { border-radius: var(--_radius); }
.row::before, [role="option"]::before { content: "›"; content: "›" / ""; flex: none; color: var(--_accent); font-weight: 700; transition: rotate .15s; }
.row[aria-expanded="true"]::before { rotate: 90deg; }
.row > :first-child, [role="option"] > :first-child { flex: 1; }
.row:hover, [role="option"]:hover { text-decoration: underline; text-underline-offset: .15em; }
[role="option"][aria-selected="true"] { outline: 2px solid var(--_accent); outline-offset: -2px; }
.count { color: var(--_muted); }
.fold { padding: 0 .5em .5em 1.5em; }
.fold ul:not(.rows) { list-style: disc; padding-inline-start: 1.25em; }
.fold table { display: block; overflow-x: auto; }
.fold pre { white-space: pre-wrap; }
a { color: var(--_accent); text-underline-offset: .15em; }
.contact strong { display: block; }
.contact span, .contact a { display: block; }
.quiet { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
@media (prefers-reduced-motion: reduce) { *, *::before { transition: none !important; } }
@media (forced-colors: active) { [role="option"][aria-selected="true"] { outline-color: Highlight; } }
`;
// Only where the page undoes the rule above (`all: initial`): a position of its own, sticky for instance, stays.
const PLACED = ":host { position: relative !important; }";

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

/* What the page shows after an element, beside it in the tree. */
function following(node) {
  let next = node.nextElementSibling;
  while (next && !next.getClientRects().length) next = next.nextElementSibling;
  return next;
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

let town; // the services, asked once a page

function services() {
  town ??= call("services").catch((error) => {
    town = undefined;
    throw error;
  });
  return town;
}

/* In the static export no server answers: the browser searches the words of the answers. */
async function found(index, asked, options) {
  const { find } = await import(new URL("widget-search.js", BASE));
  return find(new URL(index, BASE), asked, options);
}

/* ---- the element ---- */

const sheet = new CSSStyleSheet();
sheet.replaceSync(SHEET);
const placed = new CSSStyleSheet();
placed.replaceSync(PLACED);

class BibleFaq extends HTMLElement {
  static observedAttributes = ["service", "lang"];
  #root = this.attachShadow({ mode: "open" });
  #town; // the services, and the language of the answers
  #words;
  #parts; // the nodes of the widget, by name
  #found = []; // what the options stand for
  #active = -1;
  #answered; // the question that they answer
  #pending; // the question on its way
  #opens = false; // Enter was pressed before the answer came
  #acted = 0; // when the person last did something
  #timer;
  #aborter;
  // A frame later: a size that changed while sizes are told is an error for the page.
  #observer = new ResizeObserver(() => requestAnimationFrame(() => this.#settle()));

  constructor() {
    super();
    this.#root.append(make("slot")); // the link inside, as it was
  }

  async connectedCallback() {
    this.#observer.observe(this);
    if (this.#town) return this.#moved();
    try {
      const town = await services();
      if (!this.isConnected || this.#town) return;
      this.#town = town;
    } catch {
      return; // the link stays
    }
    this.#build();
  }

  disconnectedCallback() {
    this.#observer.disconnect();
    this.#stop();
    if (this.#parts) this.#parts.box.style.marginBlockEnd = ""; // it was for what followed
  }

  /* Another place has its own room; the question that leaving cut short is asked again. */
  #moved() {
    this.#settle();
    const asked = this.#asked;
    if (asked && asked !== this.#answered) this.#typed();
  }

  attributeChangedCallback() {
    if (this.#town) this.#build();
  }

  get #language() {
    const wanted = this.getAttribute("lang") ?? this.closest("[lang]")?.lang ?? navigator.language;
    const short = wanted.slice(0, 2).toLowerCase();
    return Object.hasOwn(WORDS, short) ? short : "fr";
  }

  get #asked() {
    return this.#parts.input.value.trim();
  }

  /* The service of the attribute, where the town has it. */
  get #own() {
    return this.#town.services.find((one) => one.key === this.getAttribute("service"));
  }

  #build() {
    this.#stop();
    const lang = this.#language;
    const words = (this.#words = WORDS[lang]);
    const input = make("input", {
      type: "search", role: "combobox", "aria-autocomplete": "list", "aria-controls": "options", "aria-expanded": "false",
      autocomplete: "off", spellcheck: "true", enterkeyhint: "search", maxlength: MAX_CHARS,
      placeholder: words.ask, "aria-label": words.ask, title: words.ask,
    });
    const clear = make("button", { type: "button", class: "clear", "aria-label": words.clear, title: words.clear, hidden: "" }, "×");
    const status = make("p", { role: "status", class: "quiet" });
    const note = make("p", { class: "title", "aria-hidden": "true" });
    const list = make("ul", { id: "options", role: "listbox", "aria-label": words.ask, hidden: "" });
    const content = make("div");
    const link = make("div", { hidden: "" }, make("slot"));
    const panel = make("div", { class: "panel", hidden: "" }, note, list, content, link);
    const field = make("div", { class: "field" }, input, clear);
    const box = make("div", { class: "box", lang, dir: "ltr" }, field, status, panel);
    // A box that fills its place gives it no width: where the page leaves the width to us, these words do.
    const strut = make("div", { class: "strut", hidden: "" }, `${words.ask} ${words.browse}`);
    this.#parts = { strut, box, field, input, clear, status, note, list, content, link, panel };

    const next = following(this);
    const before = next?.getBoundingClientRect().top;
    this.#root.adoptedStyleSheets = [sheet];
    this.#root.replaceChildren(strut, box);
    // Nothing of the page may move by itself: where it kept no room, the field takes the place of the link and of the space under it.
    if (next) {
      const after = next.getBoundingClientRect().top;
      const { bottom } = this.getBoundingClientRect();
      box.style.marginBlockEnd = `${-Math.max(Math.min(after - before, after - bottom - GAP_PX), 0)}px`;
    }
    this.#settle();
    this.#browse();

    const opened = () => {
      this.#settle(); // a dialog that opens gives the focus before the observer speaks
      panel.hidden = false;
    };
    input.addEventListener("focus", opened);
    input.addEventListener("input", () => (opened(), this.#typed()));
    clear.addEventListener("click", () => this.#clear());
    list.addEventListener("mousedown", (event) => event.preventDefault()); // the focus stays in the field
    list.addEventListener("click", (event) => {
      const option = event.target.closest("[role=option]");
      if (option) this.#choose([...list.children].indexOf(option));
    });
    box.addEventListener("keydown", (event) => this.#key(event));
  }

  get #isRoomy() {
    return this.#parts.box.classList.contains("roomy");
  }

  /* Where the page keeps room, the questions fill it, whatever its size becomes, and scroll inside; elsewhere only the field shows, and the
     questions open under the reader's own hand. What is hidden has no size yet: the observer says when it has. */
  #settle() {
    if (!this.#parts || !this.getClientRects().length) return;
    const { strut, box, field, input, panel } = this.#parts;
    // An open panel makes its own height, which is no room of the page's.
    const isRoomy = this.#isRoomy ? this.clientHeight >= field.offsetHeight : panel.hidden && this.offsetHeight >= ROOM_PX;
    if (isRoomy === this.#isRoomy) return;
    box.classList.toggle("roomy", isRoomy);
    strut.hidden = !isRoomy;
    panel.hidden = !isRoomy && !input.value && !this.matches(":focus-within");
    box.style.marginBlockEnd = panel.style.minHeight = "";
    this.#root.adoptedStyleSheets = isRoomy && getComputedStyle(this).position === "static" ? [sheet, placed] : [sheet];
  }

  /* ---- what is shown ---- */

  /* The panel takes the height of what it shows next, unless that comes late: then the page would jump. Kept room never does. */
  #hold() {
    const { panel } = this.#parts;
    const isLate = performance.now() - this.#acted > OWN_DOING_MS;
    panel.style.minHeight = isLate && !this.#isRoomy ? `${panel.offsetHeight}px` : "";
  }

  #say(words, isShown = true) {
    this.#parts.status.textContent = words;
    this.#parts.note.textContent = isShown ? words : "";
  }

  #show(...nodes) {
    const { list, content, link } = this.#parts;
    this.#found = [];
    this.#activate(-1);
    list.hidden = link.hidden = true;
    list.replaceChildren();
    this.#parts.input.setAttribute("aria-expanded", "false");
    content.replaceChildren(...nodes);
  }

  #browse() {
    this.#answered = undefined;
    const own = this.#own;
    const rows = own ? own.articles.map((one) => this.#articleRow(one)) : this.#town.services.map((one) => this.#serviceRow(one));
    this.#say("", false);
    this.#parts.note.textContent = own ? own.name : this.#words.browse;
    const all = make("p", {}, make("a", { href: address(own ? own.url : this.#town.url) }, this.#words.all));
    this.#show(make("ul", { class: "rows" }, ...rows), all);
  }

  #suggest(found) {
    this.#show();
    this.#found = found;
    const { list, input } = this.#parts;
    const lang = this.#town.language;
    list.append(...found.map((one, at) => make("li", { role: "option", id: `o${at}`, "aria-selected": "false", lang }, make("span", {}, one.title))));
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    this.#say(this.#words.found(found.length));
  }

  #nothing(contact) {
    this.#say(this.#words.none);
    const lines = [make("strong", {}, contact.name)];
    if (contact.phone) lines.push(make("a", { href: `tel:${contact.phone.replace(/[^+\d]/g, "")}` }, contact.phone));
    if (contact.email) lines.push(make("a", { href: address(`mailto:${contact.email}`) }, contact.email));
    if (contact.hours) lines.push(make("span", {}, contact.hours));
    if (contact.url) lines.push(make("a", { href: address(contact.url) }, this.#words.site));
    this.#show(make("p", {}, this.#words.contact), make("div", { class: "contact", lang: this.#town.language }, ...lines));
  }

  #failed() {
    this.#answered = undefined;
    this.#say(this.#words.down);
    this.#show();
    this.#parts.link.hidden = this.#parts.panel.hidden = false;
  }

  /* A row that unfolds; `fill` gives what is under it, asked once. */
  #row(label, count, fill) {
    const id = `f${(this.#rows += 1)}`;
    const fold = make("div", { id, class: "fold", lang: this.#town.language, hidden: "" });
    const button = make("button", { type: "button", class: "row", "aria-expanded": "false", "aria-controls": id, lang: this.#town.language });
    button.append(make("span", {}, label), ...(count ? [make("span", { class: "count" }, String(count))] : []));
    let isAsked = false;
    button.addEventListener("click", async () => {
      const isOpen = button.getAttribute("aria-expanded") !== "true";
      button.setAttribute("aria-expanded", isOpen);
      fold.hidden = !isOpen;
      if (!isOpen || isAsked) return;
      isAsked = true;
      try {
        fold.append(...(await fill()));
      } catch {
        isAsked = false;
        if (fold.isConnected && !fold.hidden) this.#failed(); // else other answers are being read
      }
    });
    return make("li", {}, button, fold);
  }
  #rows = 0;

  #articleRow(article) {
    return this.#row(article.title, 0, async () => {
      const { answer_html, url } = "answer_html" in article ? article : await call(`articles/${encodeURIComponent(article.slug)}`);
      const more = make("a", { href: address(url), lang: this.#language }, this.#words.page);
      more.append(make("span", { class: "quiet", lang: this.#town.language }, ` : ${article.title}`));
      return [answerNodes(answer_html), make("p", {}, more)];
    });
  }

  #serviceRow(service) {
    return this.#row(service.name, service.count, async () => {
      const rows = make("ul", { class: "rows" }, ...service.articles.map((one) => this.#articleRow(one)));
      const isWhole = service.count <= service.articles.length;
      return isWhole ? [rows] : [rows, make("p", {}, make("a", { href: address(service.url), lang: this.#language }, this.#words.all))];
    });
  }

  /* ---- what is typed ---- */

  #stop() {
    clearTimeout(this.#timer);
    this.#aborter?.abort();
    this.#pending = undefined;
    this.#opens = false;
  }

  #clear() {
    this.#stop();
    this.#parts.input.value = "";
    this.#parts.clear.hidden = true;
    this.#browse();
    this.#parts.input.focus();
  }

  #typed() {
    this.#stop();
    this.#acted = performance.now();
    const asked = this.#asked;
    this.#parts.clear.hidden = !this.#parts.input.value;
    if (asked.length < 2) this.#browse();
    else this.#timer = setTimeout(() => this.#search(asked), PAUSE_MS);
  }

  /* One word is a title in the making; a sentence is understood by its meaning. */
  async #ask(asked, options, signal) {
    const titles = /\s/.test(asked) ? null : await call("search", { query: asked.slice(0, 200), ...options }, signal);
    return titles?.answered ? titles : call("match", { message: asked, ...options }, signal);
  }

  async #search(asked) {
    this.#stop();
    const { signal } = (this.#aborter = new AbortController());
    this.#pending = asked;
    const options = { service: this.#own?.key ?? null, limit: 5, lang: this.#language };
    try {
      const answer = this.#town.index ? await found(this.#town.index, asked, options) : await this.#ask(asked, options, signal);
      if (signal.aborted) return;
      this.#pending = undefined;
      this.#answered = asked;
      this.#hold();
      if (!answer.answered) return this.#nothing(answer.contact);
      this.#suggest(answer.results);
      if (this.#opens) this.#choose(0);
    } catch (error) {
      if (signal.aborted) return;
      this.#pending = undefined;
      if (!(error instanceof Busy)) return this.#failed();
      this.#answered = undefined;
      this.#say(this.#words.busy);
      this.#timer = setTimeout(() => this.#search(asked), error.seconds * 1000);
    }
  }

  /* ---- the keyboard ---- */

  #activate(at) {
    this.#active = at;
    const { list, input } = this.#parts;
    [...list.children].forEach((option, place) => option.setAttribute("aria-selected", place === at));
    if (at < 0) return input.removeAttribute("aria-activedescendant");
    input.setAttribute("aria-activedescendant", `o${at}`);
    list.children[at].scrollIntoView({ block: "nearest" });
  }

  /* The question chosen unfolds where it stood, the others beside it. */
  #choose(at) {
    const rows = this.#found.map((one) => this.#articleRow(one));
    const said = this.#parts.note.textContent;
    this.#acted = performance.now();
    this.#hold();
    this.#show(make("ul", { class: "rows" }, ...rows));
    this.#say("", false);
    this.#parts.note.textContent = said;
    const button = rows[at].firstChild;
    button.click();
    button.focus();
  }

  /* The question chosen, or the best one: at once where it is known, or as soon as the answer comes, without the pause. */
  #enter() {
    const asked = this.#asked;
    const isKnown = !this.#parts.list.hidden && (this.#active >= 0 || asked === this.#answered);
    if (isKnown) return this.#choose(Math.max(this.#active, 0));
    if (!asked) return;
    if (asked !== this.#pending) this.#search(asked);
    this.#opens = true;
  }

  #key(event) {
    if (event.isComposing || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
    const { input, list, content } = this.#parts;
    const { key, target } = event;
    const inField = target === input;
    if (key === "Escape") {
      if (!inField) input.focus();
      else if (input.value) this.#clear();
      else return;
    } else if (inField && key === "Enter") {
      this.#enter();
    } else if (inField && !list.hidden) {
      const last = this.#found.length - 1;
      if (key === "ArrowDown") this.#activate(this.#active < last ? this.#active + 1 : 0);
      else if (key === "ArrowUp") this.#activate(this.#active > 0 ? this.#active - 1 : last);
      else if (key === "Home" && this.#active >= 0) this.#activate(0);
      else if (key === "End" && this.#active >= 0) this.#activate(last);
      else return;
    } else {
      const rows = [...content.querySelectorAll(".row")].filter((one) => one.getClientRects().length);
      const at = rows.indexOf(target);
      if (!inField && at < 0) return;
      if (key === "ArrowDown") rows[Math.min(at + 1, rows.length - 1)]?.focus();
      else if (key === "ArrowUp" && at >= 0) (rows[at - 1] ?? input).focus();
      else if (key === "Home" && at >= 0) rows[0].focus();
      else if (key === "End" && at >= 0) rows.at(-1).focus();
      else return;
    }
    event.preventDefault();
  }
}

customElements.get("bible-faq") ?? customElements.define("bible-faq", BibleFaq);
