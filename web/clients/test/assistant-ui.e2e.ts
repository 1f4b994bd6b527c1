import { suite } from "./suite.ts";

suite("assistant-ui");
