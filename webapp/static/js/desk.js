// The reply desk: results appear in place, and everything that an agent does all day is one key away.
import { isTyping, searchArticles, toast } from "./app.js";
import { copyReply, copyWhenComplete } from "./copy.js";

const form = document.getElementById("desk");
const message = document.getElementById("message");
const results = document.getElementById("results");
const count = document.getElementById("message-count");
const words = form.dataset;
const maxChars = Number(words.maxChars);
let pending;
let timer;
let pressed = Promise.resolve(); // settled while no button of the results is held down
let filling = Promise.resolve(); // settled once the replies have what was last filled on a card

function updateCount() {
  const length = message.value.length;
  count.textContent = length > maxChars / 2 ? `${length.toLocaleString("fr")} / ${maxChars.toLocaleString("fr")}` : "";
  count.classList.toggle("over", length > maxChars);
}

function notice(text) {
  const line = document.createElement("p");
  line.className = "notice error";
  line.setAttribute("role", "alert");
  line.textContent = text;
  results.replaceChildren(line);
}

// New replies come while the next gap is being filled: what is typed there stays, and so does the caret.
function show(html) {
  const gap = document.activeElement?.closest?.("[data-fill]");
  const where = gap && `.card[data-number="${gap.closest(".card").dataset.number}"] [data-fill="${gap.dataset.fill}"]`;
  const { value, selectionStart, selectionEnd } = gap ?? {};
  results.innerHTML = html;
  const same = where && results.querySelector(where);
  if (!same) return;
  same.value = value;
  same.focus();
  same.setSelectionRange(selectionStart, selectionEnd);
}

async function find() {
  clearTimeout(timer);
  if (message.value.length > maxChars) { notice(words.tooLong); return; }
  pending?.abort();
  pending = new AbortController();
  results.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(form.action, {
      method: "POST",
      body: new FormData(form),
      headers: { "X-Bible-Fragment": "1" },
      signal: pending.signal,
    });
    const html = answer.ok || answer.status === 413 ? await answer.text() : "";
    await pressed; // a card that goes between press and release takes the click with it
    if (html) show(html);
    else notice([400, 401].includes(answer.status) ? words.expired : words.failed);
  } catch (error) {
    if (error.name === "AbortError") return;
    notice(words.failed);
  }
  results.setAttribute("aria-busy", "false");
}

function soon(delay = 350) {
  clearTimeout(timer);
  if (message.value.trim()) timer = setTimeout(find, delay);
}

form.addEventListener("submit", (event) => { event.preventDefault(); find(); });
message.addEventListener("input", () => { updateCount(); });
// The field holds what is pasted only once this event is over.
message.addEventListener("paste", () => setTimeout(soon, 0, 0));
message.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); find(); }
});
form.addEventListener("change", (event) => {
  if (event.target.name === "channel" || event.target.name === "service") soon(0);
});
document.getElementById("personalise").addEventListener("input", (event) => {
  if (event.target.matches("input")) soon();
});
document.getElementById("clear").addEventListener("click", () => {
  form.querySelectorAll("#personalise input").forEach((field) => { field.value = ""; });
  message.value = "";
  updateCount();
  location.assign(`${form.action}?channel=${encodeURIComponent(new FormData(form).get("channel"))}`);
});

results.addEventListener("pointerdown", () => {
  pressed = new Promise((released) => {
    const once = { once: true };
    for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => setTimeout(released), once);
  });
});

// Who fills a gap and presses « Copier » at once gets the reply that is filled.
async function copyNumber(number) {
  await filling;
  const card = results.querySelector(`.card[data-number="${number}"]`);
  if (card) copyWhenComplete(card, words);
}

results.addEventListener("click", (event) => {
  const example = event.target.closest(".example");
  if (example) {
    message.value = example.textContent;
    updateCount();
    find();
    return;
  }
  const card = event.target.closest(".card");
  const button = event.target.closest("button");
  if (!card || !button) return;
  if (button.classList.contains("copy")) copyNumber(card.dataset.number);
  else if (button.classList.contains("copy-anyway")) copyReply(card, words);
  else if (button.classList.contains("unfold")) {
    const isOpen = !card.querySelector(".reply").classList.toggle("clamp");
    button.setAttribute("aria-expanded", String(isOpen));
  } else if (button.classList.contains("restore")) {
    card.querySelector(".wrong-answer").open = false;
    card.querySelector(".wrong").focus();
  }
});

// « Ce n'est pas la bonne réponse »: the card is set aside while its form is unfolded. This event does not bubble.
results.addEventListener("toggle", (event) => {
  if (!event.target.matches(".wrong-answer")) return;
  const card = event.target.closest(".card");
  card.classList.toggle("is-dismissed", event.target.open);
  if (event.target.open) card.nextElementSibling?.querySelector(".reply.clamp")?.classList.remove("clamp");
}, true);

results.addEventListener("submit", async (event) => {
  const request = event.target;
  if (!request.matches(".request-form")) return;
  event.preventDefault();
  const button = request.querySelector("[type=submit]");
  button.disabled = true;
  try {
    const answer = await fetch(request.action, {
      method: "POST",
      body: new FormData(request),
      headers: { "X-Bible-Fragment": "1" },
    });
    if (!answer.ok && answer.status !== 422) throw new Error(answer.status === 400 ? words.expired : words.failed);
    const shown = document.createElement("template");
    shown.innerHTML = await answer.text();
    const next = shown.content.firstElementChild;
    // What was sent takes the place of what sends it.
    (answer.ok ? request.closest("details") : request).replaceWith(next);
    (answer.ok ? next : next.querySelector("textarea")).focus();
  } catch (error) {
    button.disabled = false;
    toast(error.message === words.expired ? words.expired : words.failed, "error");
  }
});

// The title of the right article, found as it is typed.
let titlesPending;
let titlesTimer;
async function suggestTitles(field) {
  titlesPending?.abort();
  titlesPending = new AbortController();
  try {
    const found = await searchArticles(field.value, titlesPending.signal);
    field.list.replaceChildren(...found.map((article) => {
      const option = document.createElement("option");
      option.value = article.title;
      return option;
    }));
  } catch { /* the title can still be typed */ }
}
results.addEventListener("input", (event) => {
  if (event.target.name !== "right_title") return;
  clearTimeout(titlesTimer);
  titlesTimer = setTimeout(suggestTitles, 150, event.target);
});

// What is filled on a card goes to the form's own field, so that every reply of the message gets it.
results.addEventListener("change", (event) => {
  const name = event.target.dataset?.fill;
  if (!name) return;
  form.elements[name].value = event.target.value;
  filling = find();
});

document.addEventListener("keydown", (event) => {
  const number = Number(event.code.match(/^(?:Digit|Numpad)([1-9])$/)?.[1]);
  if (!number || event.ctrlKey || event.metaKey) return;
  if (!event.altKey && (isTyping(event.target) || document.querySelector("dialog[open]"))) return;
  const card = results.querySelector(`.card[data-number="${number}"]:not(.is-dismissed)`);
  if (card) { event.preventDefault(); copyNumber(number); }
});

updateCount();
