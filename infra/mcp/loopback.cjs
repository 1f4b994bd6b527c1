// Loaded into a server before its own code: a server that names no host listens on this machine only.
const { Server } = require("node:net");

const listen = Server.prototype.listen;
Server.prototype.listen = function (...args) {
  if (typeof args[0] === "number" || /^\d+$/.test(String(args[0]))) {
    const rest = args.slice(typeof args[1] === "string" ? 2 : 1);
    return listen.call(this, Number(args[0]), "127.0.0.1", ...rest);
  }
  return listen.apply(this, args);
};
