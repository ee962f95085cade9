// Times for people, as handlers/rendering.py writes them.

/** Say how long ago `date` was. */
export function ago(date, now = new Date()) {
  const seconds = (now - date) / 1000;
  for (const [unit, length] of [
    ["day", 86400],
    ["hour", 3600],
    ["minute", 60],
  ]) {
    const count = Math.floor(seconds / length);
    if (count >= 1) {
      return `${count} ${unit}${count > 1 ? "s" : ""} ago`;
    }
  }
  return "just now";
}

/** Say how long a build took from `started` to `finished` (ISO texts), or takes so far. */
export function took(started, finished) {
  if (!started) {
    return "–";
  }
  const all = Math.max(0, Math.floor(((finished ? new Date(finished) : new Date()) - new Date(started)) / 1000));
  const [hours, minutes, seconds] = [Math.floor(all / 3600), Math.floor(all / 60) % 60, all % 60];
  if (hours) {
    return `${hours} h ${minutes} min`;
  }
  return minutes ? `${minutes} min ${seconds} s` : `${seconds} s`;
}

/** Say where in the queue a build is. */
export function queued({ position, estimate_seconds: estimate }) {
  const about = estimate ? `, about ${estimate < 90 ? `${Math.ceil(estimate)} s` : `${Math.ceil(estimate / 60)} min`} to wait` : "";
  return `Number ${position} in the queue${about}.`;
}

/** Write a state into a badge made by the page's template. */
export function showState(badge, state) {
  badge.textContent = state;
  badge.className = `binder-state binder-state-${state}`;
}
