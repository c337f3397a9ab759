/**
 * Asks one time after the other, so that each may meet a connection of its own, until there is an answer.
 *
 * @returns how often it was refused before; 10 where no answer came.
 */
export async function refusedUntilAnswered(ask: () => Promise<unknown>): Promise<number> {
  for (let refused = 0; refused < 10; refused++) {
    const isAnswered = await ask().then(
      () => true,
      () => false,
    );
    if (isAnswered) return refused;
  }
  return 10;
}
