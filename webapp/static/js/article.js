import { copyReply } from "./copy.js";

const page = document.querySelector(".article-page");
page?.addEventListener("click", (event) => {
  const button = event.target.closest(".copy");
  if (button) copyReply(button.closest("[data-format]"), page.dataset);
});
