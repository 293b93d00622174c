import { killService } from "./kill-service.ts";

killService("saga");
