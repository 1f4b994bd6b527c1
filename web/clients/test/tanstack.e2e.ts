import { suite } from "./suite.ts";

suite("tanstack");
