import ai from './ai.cjs'

export const { createInterfuse, interfuse } = ai
