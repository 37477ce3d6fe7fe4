"""Training the embedded model: autoencoder, latents, then text encoders and UNet together. Seeded, resumable."""
