/* The snippet generator: what is chosen shows on the widget above and in the lines to copy. */

const form = document.querySelector("#options");
const widget = document.querySelector("#faq");
const words = widget.querySelector("a").textContent;
const { site, faq, language, version, integrity } = form.dataset;
const chosenSheet = new CSSStyleSheet();
document.adoptedStyleSheets = [...document.adoptedStyleSheets, chosenSheet];
const defaults = Object.fromEntries(new FormData(form));

/* What a default leaves out is what the widget does anyway. */
function chosen() {
  const values = Object.fromEntries(new FormData(form));
  const names = { accent: values.accent, surface: values.surface, radius: `${Number(values.radius) || 0}px` };
  const changed = Object.keys(names).filter((name) => values[name] !== defaults[name]);
  const attributes = ["service", "lang", "theme"].filter((name) => values[name]).map((name) => ` ${name}="${values[name]}"`);
  return { values, attributes: attributes.join(""), colours: changed.map((name) => `  --bible-${name}: ${names[name]};\n`).join("") };
}

function luminance(colour) {
  const parts = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16) / 255);
  const [red, green, blue] = parts.map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(one, other) {
  const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}

function show() {
  const { values, attributes, colours } = chosen();
  const query = values.lang === language ? "" : `lang=${values.lang}&`;
  const framed = `${faq}${values.service && `/service/${encodeURIComponent(values.service)}`}?${query}embed=1`;
  const element = `<bible-faq${attributes}><a href="${faq}">${words}</a></bible-faq>`;
  const lines = {
    line: `<script type="module" src="${site}/widget.js"></script>\n${element}`,
    pinned: `<script type="module" src="${site}${version}" integrity="${integrity}" crossorigin="anonymous"></script>\n${element}`,
    style: `bible-faq {\n  display: block;\n  min-height: 28rem;\n${colours}}`,
    frame: `<iframe src="${framed}" title="${words}" width="100%" height="600" loading="lazy"></iframe>`,
  };
  for (const [id, text] of Object.entries(lines)) document.getElementById(id).textContent = text;
  for (const name of ["service", "lang", "theme"]) {
    if (values[name]) widget.setAttribute(name, values[name]);
    else widget.removeAttribute(name);
  }
  chosenSheet.replaceSync(`bible-faq {\n${colours}}`);
  const note = document.querySelector("#contrast");
  const ratio = contrast(values.accent, values.surface);
  note.textContent = colours && ratio < 4.5 ? note.dataset.words.replace("{}", ratio.toFixed(1).replace(".", ",")) : "";
}

form.addEventListener("input", show);
form.addEventListener("submit", (event) => event.preventDefault());
for (const button of document.querySelectorAll("[data-copies]")) {
  const label = button.textContent;
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copies).textContent);
    button.textContent = button.dataset.done;
    setTimeout(() => (button.textContent = label), 2000);
  });
}
