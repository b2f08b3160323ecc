/* What the widget searches with in the static export, where no server answers: the words of the public answers, scored beforehand
   (search/browser_index.py). The question stays in the page. */

const MIN_SHARED = 4; // letters that two forms of a word begin with
const MAX_ENDING = 3; // letters that a form may add to them
const MISSPELT = 0.8; // what a word that was guessed counts for

let held; // the index, asked once a page

function open(address) {
  held ??= fetch(address, { credentials: "omit", referrerPolicy: "no-referrer" })
    .then((response) => (response.ok ? response.json() : Promise.reject(new Error(response.status))))
    .then((index) => ({ ...index, words: index.words.split(" "), stop: new Set(index.stop.split(" ")) }))
    .catch((error) => {
      held = undefined;
      throw error;
    });
  return held;
}

export function fold(text) {
  return text.toLowerCase().normalize("NFKD").replace(/\p{M}/gu, "").replaceAll("œ", "oe").replaceAll("æ", "ae");
}

/* Whether two words differ by one letter, added, missing, replaced or swapped with the next. */
function isNear(one, other) {
  if (Math.abs(one.length - other.length) > 1) return false;
  let at = 0;
  while (at < one.length && one[at] === other[at]) at += 1;
  const [rest, left] = [one.slice(at), other.slice(at)];
  if (rest.slice(1) === left || rest === left.slice(1) || rest.slice(1) === left.slice(1)) return true;
  return rest[0] === left[1] && rest[1] === left[0] && rest.slice(2) === left.slice(2);
}

/* Where a word is in the sorted list, or would be. */
function place(words, word) {
  let [from, to] = [0, words.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (words[middle] < word) from = middle + 1;
    else to = middle;
  }
  return from;
}

function startingWith(words, start) {
  const found = [];
  for (let at = place(words, start); words[at]?.startsWith(start); at += 1) found.push(at);
  return found;
}

/* Positions of the words that a word of the question stands for, and what they count for. */
function understood({ words }, word, isUnfinished) {
  const at = place(words, word);
  const exact = words[at] === word ? [at] : [];
  if (isUnfinished) {
    const longer = startingWith(words, word);
    if (longer.length) return [longer, 1];
  }
  if (exact.length) return [exact, 1];
  for (let shared = word.length; shared >= Math.max(MIN_SHARED, word.length - MAX_ENDING); shared -= 1) {
    const forms = startingWith(words, word.slice(0, shared)).filter((one) => words[one].length <= shared + MAX_ENDING);
    if (forms.length) return [forms, 1];
  }
  const near = word.length > MIN_SHARED ? startingWith(words, word[0]).filter((one) => isNear(word, words[one])) : [];
  return [near, MISSPELT];
}

/* Finds the answers to a question; resolves to what POST /api/public/v1/match answers, without the texts. */
export async function find(address, asked, { service, limit }) {
  const index = await open(address);
  const said = [...fold(asked).matchAll(/[\p{L}\p{N}_]+/gu)];
  const last = said.at(-1);
  const isTyping = last && last.index + last[0].length === fold(asked).length;
  const kept = said.filter((one) => one[0].length > 1 && !index.stop.has(one[0]));
  // The word being typed may yet become another: "ca" is a stop word, "carte" is not.
  if (!kept.length && isTyping && last[0].length > 1) kept.push(last);
  const scores = new Map();
  let ceiling = 0;
  const seen = new Set();
  for (const one of kept) {
    if (seen.has(one[0])) continue;
    seen.add(one[0]);
    const [positions, weight] = understood(index, one[0], isTyping && one === last);
    const best = new Map(); // document → the most that one of these words gives to it
    for (const term of new Set(positions.map((at) => index.terms[at]))) {
      const posting = index.postings[term];
      for (let at = 0; at < posting.length; at += 2) best.set(posting[at], Math.max(best.get(posting[at]) ?? 0, weight * posting[at + 1]));
    }
    ceiling += best.size ? Math.max(...best.values()) : index.typical;
    for (const [document, score] of best) scores.set(document, (scores.get(document) ?? 0) + score);
  }
  const own = (document) => (index.answers[document].service === service ? 1 + index.preference : 1);
  const ranked = [...scores].sort((one, other) => other[1] * own(other[0]) - one[1] * own(one[0]) || one[0] - other[0]);
  const answers = ranked.filter(([, score]) => score >= index.answered_from * ceiling).slice(0, limit);
  return {
    answered: answers.length > 0,
    coverage: ranked.length ? ranked[0][1] / ceiling : 0,
    results: answers.map(([document]) => index.answers[document]),
    contact: answers.length ? null : (index.contacts[service] ?? index.contacts[""]),
  };
}
