"""What scoring computes from code values: strips for SSIM, placed sheets, squared errors, shrunk rows. CPU only."""
