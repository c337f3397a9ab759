import { describeSessionRepository } from 'nestjs-server-session/testing';
import { MapRepository } from './map.repository.js';

describeSessionRepository('A Map', () => new MapRepository(), { shared: false, lists: false });
