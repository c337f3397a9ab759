export interface Product {
  readonly id: string;
  readonly name: string;
  /** In cents. */
  readonly price: number;
}

export const PRODUCTS: readonly Product[] = [
  { id: 'tea', name: 'Green tea, 100 g', price: 890 },
  { id: 'pot', name: 'Stoneware pot & lid', price: 4200 },
  { id: 'cup', name: 'Cup', price: 1150 },
];

export function findProduct(id: unknown): Product | undefined {
  return PRODUCTS.find((product) => product.id === id);
}
