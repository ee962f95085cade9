// The launch page of a template: its button is pressed on purpose.

import { onlyDeliberate } from "./deliberate.js";

onlyDeliberate(document.getElementById("binder-launch"));
