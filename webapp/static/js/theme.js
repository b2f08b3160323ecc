// Runs before the first paint, so that the page never flashes in the other theme.
(() => {
  document.documentElement.classList.add("js");
  try {
    const theme = localStorage.getItem("bible-theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch { /* storage is off: the system's preference holds */ }
})();
