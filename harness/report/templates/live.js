const time = document.getElementById("written");
const written = Number(time.dataset.at);
const lasts = Number(time.dataset.old);
time.textContent = new Date(written).toLocaleString();
if (lasts) {
  const look = () => { document.getElementById("old").hidden = Date.now() - written < lasts; };
  look();
  setInterval(look, 1000);
}
