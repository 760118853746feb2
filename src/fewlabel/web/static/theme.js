// Before the page is drawn, so that it does not flash in the other colors.
{
  const root = document.documentElement;
  const kept = localStorage.getItem("fewlabel.theme");
  if (kept) root.dataset.theme = kept;
  addEventListener("DOMContentLoaded", () => {
    document.getElementById("theme")?.addEventListener("click", () => {
      const dark = root.dataset.theme ? root.dataset.theme === "dark"
        : matchMedia("(prefers-color-scheme: dark)").matches;
      root.dataset.theme = dark ? "light" : "dark";
      localStorage.setItem("fewlabel.theme", root.dataset.theme);
    });
  });
  // The token of the address has become a cookie: it need not stay in the history.
  if (location.search.includes("token=")) history.replaceState(null, "", location.pathname);
}
