// Before anything is drawn: the theme that the reader chose, so that the page does not flash in the other.
// No module, since those wait until the page was read. theme.js has the rest.
document.documentElement.dataset.theme = localStorage.getItem("seekserve-theme") || "auto";
