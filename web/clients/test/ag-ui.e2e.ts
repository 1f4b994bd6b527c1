import { suite } from "./suite.ts";

suite("ag-ui");
