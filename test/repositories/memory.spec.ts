import { describeSessionRepository } from 'nestjs-server-session/testing';
import { MemorySessionRepository } from '../../lib/repositories/memory/memory-session.repository.js';

describeSessionRepository('memory', () => new MemorySessionRepository(), { shared: false });
