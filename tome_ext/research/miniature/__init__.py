"""A miniature of SDXL whose text misleads it: twenty shapes, ten colours, bad captions, frozen contrastive encoders."""
