/** Whether a customer sees it: their own alone. Without one, staff or an operator asks. */
export function isVisible({ ownerId }: { readonly ownerId: string }, customerId?: string): boolean {
  return customerId === undefined || customerId === ownerId;
}
