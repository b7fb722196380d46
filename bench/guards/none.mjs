export async function protect () {}
