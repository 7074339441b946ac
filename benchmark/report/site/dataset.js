"use strict";
for (const table of document.querySelectorAll("table.sorted")) BB.table(table);
