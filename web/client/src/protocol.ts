/** Constants of the protocol carrel.v1, as in shared/wire/wire.go. */
export const SUBPROTOCOL = "carrel.v1";
export const BEARER_PREFIX = "bearer.";
/** A longer frame closes the socket (API Gateway's limit), in bytes of UTF-8. */
export const MAX_FRAME = 32 * 1024;
