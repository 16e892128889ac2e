// el makes an element. Texts are never read as markup.
export const el = (tag, props = {}, ...children) => {
  const e = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (key === "class") e.className = value;
    else if (key.startsWith("on")) e.addEventListener(key.slice(2), value);
    else if (value === true) e.setAttribute(key, "");
    else if (value !== null && value !== undefined && value !== false) e.setAttribute(key, value);
  }
  e.append(...children.filter((child) => child !== null && child !== undefined));
  return e;
};

export const $ = (id) => document.getElementById(id);

export const number = new Intl.NumberFormat("en");

// What concerns this browser and not the log is kept in it.
export const settings = {
  get: (name) => { try { return localStorage.getItem("slogworks." + name); } catch { return null; } },
  set: (name, value) => { try { localStorage.setItem("slogworks." + name, value); } catch { /* for this time only */ } },
};
