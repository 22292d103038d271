// Comfort only: every page works without it.
"use strict";
for (const button of document.querySelectorAll("button[data-copies]")) {
  const field = document.getElementById(button.dataset.copies);
  const said = document.getElementById(button.dataset.says);
  button.hidden = false;
  button.addEventListener("click", async () => {
    field.select();
    try {
      await navigator.clipboard.writeText(field.value);
    } catch {
      document.execCommand("copy"); // where a frame may not use the clipboard
    }
    said.textContent = "Copied";
  });
}
// Google was in another tab: look again when the person comes back.
if (document.querySelector("[data-waits]")) {
  let left = false;
  document.addEventListener("visibilitychange", () => {
    left = left || document.hidden;
    if (left && !document.hidden) location.replace("/settings");
  });
}
