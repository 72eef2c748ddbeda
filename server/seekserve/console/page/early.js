// Before anything is drawn: dark or light, so that the page does not flash in the other. No module, since
// those wait until the page was read. theme.js has the rest.
const kept = localStorage.getItem("seekserve-theme");
document.documentElement.dataset.theme = /^(dark|light)$/.test(kept) ? kept : matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark";
