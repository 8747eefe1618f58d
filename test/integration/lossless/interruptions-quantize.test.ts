import { describeInterruptions } from './interruption-suite.ts';

describeInterruptions('q4_k_m');
