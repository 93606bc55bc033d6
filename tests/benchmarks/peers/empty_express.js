// A server with one empty Express route and nothing else.
"use strict";

const express = require("express");

const empty = express();
empty.all("/empty", (_request, response) => response.json({}));
empty.listen(Number(process.argv[2]), "127.0.0.1");
