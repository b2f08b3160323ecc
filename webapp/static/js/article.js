import { copyReply, copyWhenComplete } from "./copy.js";

const page = document.querySelector(".article-page");
page?.addEventListener("click", (event) => {
  const button = event.target.closest(".copy, .copy-anyway");
  if (!button) return;
  const copy = button.classList.contains("copy") ? copyWhenComplete : copyReply;
  copy(button.closest("[data-format]"), page.dataset);
});
