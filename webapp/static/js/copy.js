// Copies a reply: rich (HTML and text together) for channels that keep formatting, plain text for the others.
import { toast } from "./app.js";

function richHtml(reply) {
  const copy = reply.cloneNode(true);
  // Marks of unfilled placeholders are for the agent's eyes: their words stay, their colour goes.
  copy.querySelectorAll("mark").forEach((mark) => mark.replaceWith(...mark.childNodes));
  return copy.innerHTML.trim();
}

// Without a clipboard to write to (an intranet in plain HTTP), the browser copies what is selected.
function copyBySelection(reply) {
  const range = document.createRange();
  range.selectNodeContents(reply);
  const selection = getSelection();
  selection.removeAllRanges();
  selection.addRange(range);
  return document.execCommand("copy");
}

function copyText(text) {
  const field = document.createElement("textarea");
  const focused = document.activeElement;
  field.value = text;
  field.className = "visually-hidden";
  document.body.append(field);
  field.select();
  const isCopied = document.execCommand("copy");
  field.remove();
  focused?.focus();
  return isCopied;
}

// An unfilled placeholder stops the copy until it is filled, or the agent confirms.
export function copyWhenComplete(holder, words) {
  if (Number(holder.dataset.missing) > 0) {
    holder.querySelector(".copy-anyway").hidden = false;
    holder.querySelector("[data-fill]")?.focus();
    toast(words.fillFirst, "error");
    return;
  }
  copyReply(holder, words);
}

export async function copyReply(holder, words) {
  const reply = holder.querySelector(".reply");
  const text = holder.querySelector(".reply-text").value;
  const isRich = holder.dataset.format === "rich";
  try {
    if (isRich && typeof ClipboardItem === "function") {
      await navigator.clipboard.write([new ClipboardItem({
        "text/html": new Blob([richHtml(reply)], { type: "text/html" }),
        "text/plain": new Blob([text], { type: "text/plain" }),
      })]);
    } else {
      await navigator.clipboard.writeText(text);
    }
  } catch {
    if (!(isRich ? copyBySelection(reply) : copyText(text))) {
      toast(words.copyFailed, "error");
      return false;
    }
  }
  toast(isRich ? words.copiedRich : words.copied);
  return true;
}
