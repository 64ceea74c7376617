"""The networks that levels name. Generators: z [N, L] -> images [N, C, R, R]; discriminators: -> logits."""
