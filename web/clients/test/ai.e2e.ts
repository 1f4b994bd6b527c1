import { suite } from "./suite.ts";

suite("ai");
